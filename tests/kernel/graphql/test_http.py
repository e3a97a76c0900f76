"""The HTTP door: what it takes, what it refuses, and that everything it says has a code and an id."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import httpx
import pytest

from pytake_gql import app
from pytake_gql.kernel.graphql import rates
from pytake_gql.kernel.graphql.calls import BODY_BYTES, JSON_DEPTH
from pytake_gql.kernel.graphql.http import DISCARDED_BYTES
from pytake_gql.kernel.graphql.schema import Schema
from pytake_gql.kernel.limiter import Rate
from pytake_gql.kernel.ports import Ports
from pytake_gql.tenancy.organizations.models import Frontend, FrontendEnvironment
from tests.factories import Factory, SignedIn
from tests.kernel.graphql.specimen import ran

JSON = {"content-type": "application/json"}


async def post(web: httpx.AsyncClient, content: bytes, **headers: str) -> httpx.Response:
    return await web.post(
        "/graphql", content=content, headers=JSON | {k.replace("_", "-"): v for k, v in headers.items()}
    )


def code(answer: httpx.Response) -> str:
    """The code of the one error; each answer has an id of the service's own."""
    assert len(answer.headers["x-request-id"]) == 32
    (error,) = answer.json()["errors"]
    found: str = error["extensions"]["code"]
    return found


async def test_a_query_and_a_mutation_are_answered(web: httpx.AsyncClient) -> None:
    answer = await post(web, b'{"query":"{tree{id}}"}')
    assert (answer.status_code, answer.json()) == (200, {"data": {"tree": {"id": 1}}})
    assert answer.headers["content-type"] == "application/json"
    answer = await post(web, b'{"query":"mutation {touch {touched}}", "variables": null, "operationName": null}')
    assert answer.json() == {"data": {"touch": {"touched": True}}}


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (b"", 400, "BAD_USER_INPUT"),
        (b"{", 400, "BAD_USER_INPUT"),
        (b"null", 400, "BAD_USER_INPUT"),
        (b"1", 400, "BAD_USER_INPUT"),
        (b"NaN", 400, "BAD_USER_INPUT"),
        (b"{}", 400, "BAD_USER_INPUT"),
        (b'[{"query":"{tree{id}}"},{"query":"{tree{id}}"}]', 400, "BAD_USER_INPUT"),
        (b'{"query":null}', 400, "BAD_USER_INPUT"),
        (b'{"query":""}', 400, "BAD_USER_INPUT"),
        (b'{"query":["{tree{id}}"]}', 400, "BAD_USER_INPUT"),
        (b'{"query":"{tree{id}}","variables":[]}', 400, "BAD_USER_INPUT"),
        (b'{"query":"{tree{id}}","variables":"{}"}', 400, "BAD_USER_INPUT"),
        (b'{"query":"{tree{id}}","operationName":1}', 400, "BAD_USER_INPUT"),
        (b'{"query":"{tree{id}}","extensions":1}', 400, "BAD_USER_INPUT"),
        (b'{"query":"{tree{id}}","operationName":"Missing"}', 200, "BAD_USER_INPUT"),
        (b'{"extensions":{"persistedQuery":{"sha256Hash":"0"}}}', 400, "PERSISTED_QUERY_NOT_FOUND"),
        (b'{"query":"{tree{id}}","variables":{"a":"\\ud800"}}', 400, "BAD_USER_INPUT"),
        (b'{"query":"{echo(text:\\"\\udc00\\")}"}', 400, "BAD_USER_INPUT"),
        (b'{"query":"{tree{id}}\xff"}', 400, "BAD_USER_INPUT"),
        (b"\xef\xbb\xbf{}", 400, "BAD_USER_INPUT"),
        (b'{"query":"subscription {count}"}', 200, "BAD_USER_INPUT"),
        (b'{"query":"query($n:Int!){tree{trees(first:$n){nodes{id}}}}"}', 200, "BAD_USER_INPUT"),
        (b'{"query":"query($n:Int){echo(number:$n)}","variables":{"n":1e400}}', 400, "BAD_USER_INPUT"),
        (b'{"query":"query($n:Int){echo(number:$n)}","variables":{"n":99999999999999999999}}', 200, "BAD_USER_INPUT"),
        (b'{"query":"query($n:String){echo(text:$n)}","variables":{"n":"a\\u0000b"}}', 200, "BAD_USER_INPUT"),
    ],
)
async def test_g28_never_a_500_from_a_value(web: httpx.AsyncClient, body: bytes, status: int, expected: str) -> None:
    before = ran.copy()
    answer = await post(web, body)
    assert (answer.status_code, code(answer)) == (status, expected)
    assert ran == before


async def test_g16_hostile_variables_are_refused_with_short_messages(web: httpx.AsyncClient) -> None:
    many = b",".join(b'"x%d"' % i for i in range(20_000))
    answer = await post(web, b'{"query":"query($j:[Int!]){echo(json:$j)}","variables":{"j":[' + many + b"]}}")
    errors = answer.json()["errors"]
    assert len(errors) == 5
    assert {error["extensions"]["code"] for error in errors} == {"BAD_USER_INPUT"}
    assert all(len(error["message"]) <= 500 for error in errors)


async def test_g16_the_body_has_256_kb(web: httpx.AsyncClient) -> None:
    within = b'{"query":"{tree{id}}"}'.ljust(BODY_BYTES)
    assert (await post(web, within)).json() == {"data": {"tree": {"id": 1}}}
    before = ran.copy()
    answer = await post(web, within + b" ")
    assert (answer.status_code, code(answer)) == (413, "BAD_USER_INPUT")
    assert ran == before


async def test_g16_a_body_of_unknown_length_is_not_read_to_its_end(web: httpx.AsyncClient) -> None:
    reader, writer = await asyncio.open_connection(*web.base_url.netloc.decode().split(":"))
    writer.write(
        b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    for _ in range(DISCARDED_BYTES // 16_384 + 1):
        writer.write(b"4000\r\n" + b" " * 16_384 + b"\r\n")
    async with asyncio.timeout(10):
        answer = await reader.read()  # to its end: the server hangs up although the body goes on
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"BAD_USER_INPUT"' in answer
    writer.close()


@pytest.mark.parametrize("nesting", [b"[%s]", b'{"a":%s}'])
async def test_g16_json_has_32_levels(web: httpx.AsyncClient, nesting: bytes) -> None:
    def nested(levels: int) -> bytes:
        value = b'"]]}}\\""'
        for _ in range(levels):
            value = nesting % value
        return value

    body = b'{"query":"{tree{id}}","variables":{"a":%s}}'
    assert (await post(web, body % nested(JSON_DEPTH - 2))).status_code == 200
    answer = await post(web, body % nested(JSON_DEPTH - 1))
    assert (answer.status_code, code(answer)) == (400, "BAD_USER_INPUT")
    assert code(await post(web, b"[" * 200_000)) == "BAD_USER_INPUT"
    # A quote that never ends, and escaped ones, cost no more than their length.
    assert code(await post(web, b"[" * 40 + b'"' + b'\\"' * 100_000)) == "BAD_USER_INPUT"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
async def test_only_post_executes(web: httpx.AsyncClient, method: str) -> None:
    before = ran.copy()
    answer = await web.request(method, "/graphql", params={"query": "mutation {touch {touched}}"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")
    if method != "HEAD":
        assert code(answer) == "BAD_USER_INPUT"
    assert ran == before


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "x"]
)
async def test_csrf_only_json_executes(web: httpx.AsyncClient, content_type: str) -> None:
    before = ran.copy()
    answer = await web.post(
        "/graphql", content=b'{"query":"mutation {touch {touched}}"}', headers={"content-type": content_type}
    )
    assert (answer.status_code, code(answer)) == (415, "BAD_USER_INPUT")
    assert ran == before


async def test_g18_graphiql_is_for_development(web: httpx.AsyncClient, production_web: httpx.AsyncClient) -> None:
    page = await web.get("/graphql", headers={"accept": "text/html"})
    assert page.status_code == 200
    assert "graphiql" in page.text
    assert (await production_web.get("/graphql", headers={"accept": "text/html"})).status_code == 405


async def test_g19_a_fault_of_ours_shows_an_id_and_nothing_else(
    web: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await post(web, b'{"query":"{broken}"}', x_request_id="chosen-by-me")
    (error,) = answer.json()["errors"]
    assert error["extensions"] == {"code": "INTERNAL", "requestId": answer.headers["x-request-id"]}
    assert error["message"] == "Something went wrong on our side."
    assert "secret" not in answer.text
    assert "chosen-by-me" not in answer.text + str(answer.headers)
    (record,) = [r for r in caplog.records if r.exc_info and "secret" in str(r.exc_info[1])]
    assert record.request_id == answer.headers["x-request-id"]  # type: ignore[attr-defined]


async def test_g16_a_statement_that_takes_too_long_is_a_timeout(web: httpx.AsyncClient) -> None:
    assert code(await post(web, b'{"query":"{sleepingStatement}"}')) == "TIMEOUT"


async def test_g16_an_operation_ends_when_its_time_is_over(web: httpx.AsyncClient, schema: Schema) -> None:
    assert code(await post(web, b'{"query":"{impatient}"}')) == "TIMEOUT"
    read = schema.documents.read
    assert read("{tree{id}}", suggests=True).operation(None).seconds == 5
    assert read("{impatient}", suggests=True).operation(None).seconds == 0.05
    # The longest that a root field declares.
    assert read("{impatient tree{id}}", suggests=True).operation(None).seconds == 5


async def test_a_lost_database_is_masked(ports: Ports, schema: Schema, agent: SignedIn) -> None:
    class Lost:
        async def identify(self, _: object) -> object:
            raise ConnectionRefusedError("postgres.internal:5432")

    broken = replace(ports, authority=Lost())  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app.build(broken, schema)), base_url="http://x") as web:
        answer = await post(web, b'{"query":"{tree{id}}"}', authorization=f"Bearer {agent.token}")
    assert (answer.status_code, code(answer)) == (200, "INTERNAL")
    assert "postgres" not in answer.text


async def test_g16_rate_buckets_count_root_fields(
    web: httpx.AsyncClient, agent: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "MEMBER", Rate(capacity=5, per_second=0.001))
    headers = {"authorization": f"Bearer {agent.token}"}
    assert (await post(web, b'{"query":"{a:tree{id} b:tree{id} c:tree{id}}"}', **headers)).json()["data"]
    before = ran.copy()
    answer = await post(web, b'{"query":"mutation {a:touch{touched} b:touch{touched} c:touch{touched}}"}', **headers)
    assert (answer.status_code, code(answer)) == (200, "RATE_LIMITED")
    assert answer.json()["errors"][0]["extensions"]["retryAfterSeconds"] == pytest.approx(1000, rel=0.01)
    assert ran == before
    assert (await post(web, b'{"query":"{tree{id}}"}', **headers)).json()["data"]
    assert code(await post(web, b'{"query":"{tree{id}}"}', **headers)) == "RATE_LIMITED"


async def test_g16_an_anonymous_callers_budget_is_small(web: httpx.AsyncClient) -> None:
    """500: two fields, and a hundred times four or five."""
    within = b'{"query":"{tree{trees(first:100){nodes{id child{id}}}}}"}'
    assert (await post(web, within)).json()["data"]["tree"]["trees"]["nodes"] == [{"id": 1, "child": {"id": 1}}]
    before = ran.copy()
    assert code(await post(web, within.replace(b"child{id}", b"child{id __typename}"))) == "QUERY_TOO_COMPLEX"
    assert ran == before


async def test_g27_an_organizations_bucket_is_its_members_together(
    web: httpx.AsyncClient, make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "ORGANIZATION", Rate(capacity=2, per_second=0.001))
    organization = await make.organization()
    tokens = [(await make.signed_in(await make.member(organization))).token for _ in range(3)]
    query = b'{"query":"{tree{id}}"}'
    answers = [(await post(web, query, authorization=f"Bearer {token}")).json() for token in tokens]
    assert ["errors" in answer for answer in answers] == [False, False, True]
    other = (await make.signed_in(await make.member(await make.organization()))).token
    assert "errors" not in (await post(web, query, authorization=f"Bearer {other}")).json()


async def test_g16_callers_without_a_token_share_their_addresss_bucket(
    ports: Ports, schema: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind one proxy, whose last entry alone is believed."""
    monkeypatch.setattr(rates, "ADDRESS", Rate(capacity=1, per_second=0.001))
    behind = replace(ports, settings=replace(ports.settings, trusted_proxies=1))
    first, second = (f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::{i}" for i in (1, 2))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app.build(behind, schema)), base_url="http://x") as web:
        query = b'{"query":"{tree{id}}"}'
        assert "errors" not in (await post(web, query, x_forwarded_for=f"10.9.9.9, {first}")).json()
        assert code(await post(web, query, x_forwarded_for=f"10.1.1.1, {first}")) == "RATE_LIMITED"
        neighbour = first.replace("::1", "::77")  # the same /64
        assert code(await post(web, query, x_forwarded_for=neighbour)) == "RATE_LIMITED"
        assert "errors" not in (await post(web, query, x_forwarded_for=f"10.9.9.9, {second}")).json()
        assert code(await post(web, query, authorization="Bearer forged", x_forwarded_for=first)) == "RATE_LIMITED"


@pytest.fixture
async def frontend(agent: SignedIn, make: Factory) -> str:
    """The origin of a front end of the agent's organization."""
    origin = f"https://{uuid4().hex[:12]}.example.com"
    row = Frontend(environment=FrontendEnvironment.PRODUCTION, origin=origin, is_active=True)
    await make.save(agent.member.organization_id, row)
    return origin


async def test_cors_a_front_end_may_call_and_read(
    production_web: httpx.AsyncClient, agent: SignedIn, frontend: str
) -> None:
    preflight = await production_web.options(
        "/graphql", headers={"origin": frontend, "access-control-request-method": "POST"}
    )
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == frontend
    assert preflight.headers["access-control-allow-headers"] == "authorization, content-type, accept-language"
    assert preflight.headers["access-control-allow-methods"] == "POST"
    assert "access-control-allow-credentials" not in preflight.headers
    answer = await post(production_web, b'{"query":"{whoami}"}', origin=frontend, authorization=f"Bearer {agent.token}")
    assert answer.json() == {"data": {"whoami": "AGENT"}}
    assert answer.headers["access-control-allow-origin"] == frontend
    assert answer.headers["vary"] == "Origin"


async def test_cors_others_may_not(production_web: httpx.AsyncClient, frontend: str, make: Factory) -> None:
    for origin in ("https://evil.example.com", "null", production_web.base_url.netloc.decode()):
        preflight = await production_web.options(
            "/graphql", headers={"origin": str(origin), "access-control-request-method": "POST"}
        )
        assert preflight.status_code == 403
        assert "access-control-allow-origin" not in preflight.headers
    before = ran.copy()
    stranger = await make.signed_in(await make.member(await make.organization()))
    query = b'{"query":"mutation {touch{touched}}"}'
    answer = await post(production_web, query, origin=frontend, authorization=f"Bearer {stranger.token}")
    assert (answer.status_code, code(answer)) == (403, "FORBIDDEN")
    assert "access-control-allow-origin" not in answer.headers
    answer = await post(production_web, query, origin="https://evil.example.com")
    assert (answer.status_code, code(answer)) == (403, "FORBIDDEN")
    assert ran == before
