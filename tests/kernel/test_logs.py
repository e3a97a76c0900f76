"""What a log line holds, and what it never does."""

import logging

import httpx
import orjson
import pytest

from pytake_gql.kernel.logs import JsonLines, ReadableLines
from tests.factories import Factory


def record(**extra: object) -> logging.LogRecord:
    made = logging.LogRecord("pytake.operations", logging.INFO, __file__, 1, "operation %s", ("done",), None)
    made.__dict__.update(extra)
    return made


def test_g26_a_line_is_one_json_object() -> None:
    line = JsonLines().format(record(request_id="r1", outcome="OK", duration_ms=1.5, token="secret", status=None))
    read = orjson.loads(line)
    assert "\n" not in line
    assert read.pop("time").endswith("+00:00")
    assert read == {
        "level": "INFO",
        "logger": "pytake.operations",
        "message": "operation done",
        "request_id": "r1",
        "outcome": "OK",
        "duration_ms": 1.5,
    }


def test_g26_in_development_it_is_readable() -> None:
    line = ReadableLines().format(record(request_id="r1", token="secret"))
    assert line.endswith("INFO    pytake.operations: operation done request_id=r1")


async def test_g26_an_operation_leaves_one_line_without_documents_or_variables(
    http: httpx.AsyncClient, make: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    caller = await make.signed_in(await make.member(await make.organization()))
    caplog.clear()
    answer = await http.post(
        "/graphql",
        json={
            "query": 'query Named($id: ID!) { node(id: $id) { id } department(id: "a secret") { id } }',
            "variables": {"id": "another secret"},
        },
        headers={"authorization": f"Bearer {caller.token}"},
    )
    (line,) = [r for r in caplog.records if r.name == "pytake.operations"]
    written = orjson.loads(JsonLines().format(line))
    assert written.pop("duration_ms") > 0
    del written["time"]
    assert written == {
        "level": "INFO",
        "logger": "pytake.operations",
        "message": "operation",
        "request_id": answer.headers["x-request-id"],
        "organization_id": str(caller.member.organization_id),
        "kind": "query",
        "operation": "Named",
        "outcome": "OK",
    }
    assert all("secret" not in JsonLines().format(r) and caller.token not in r.getMessage() for r in caplog.records)
