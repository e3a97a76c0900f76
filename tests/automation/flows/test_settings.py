"""The settings of nodes: their schemas, and their sentences in every language."""

import ast
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from pytake_gql.automation.flows import faults, fields, settings
from pytake_gql.automation.flows.kinds import FlowNodeKind
from tests.test_house import PACKAGE


def own_sentences() -> Iterator[str]:
    """What the models raise, and what stands for pydantic's own words."""
    yield from (faults.OTHERWISE, *faults.SENTENCES.values())
    yield from (value for name, value in vars(fields).items() if name.endswith("_SENTENCE"))
    for path in (PACKAGE / "automation" / "flows").glob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            name = getattr(call.func, "id", None) if isinstance(call, ast.Call) else None
            if isinstance(call, ast.Call) and name in {"PydanticCustomError", "checked"}:
                said = call.args[1]
                if isinstance(said, ast.Constant) and said.value:
                    yield said.value


def test_every_sentence_is_in_the_portuguese_catalogue() -> None:
    catalogue = orjson.loads((PACKAGE / "translations" / "pt-BR.json").read_bytes())
    sentences = set(own_sentences())
    assert len(sentences) > 30
    assert sorted(sentences - set(catalogue)) == []


def parts(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each property of a JSON Schema, in all its definitions."""
    for holder in (schema, *schema.get("$defs", {}).values()):
        yield from holder.get("properties", {}).items()


@pytest.mark.parametrize("kind", FlowNodeKind)
def test_every_kind_has_a_strict_schema_with_descriptions(kind: FlowNodeKind) -> None:
    schema = settings.schema(kind)
    assert schema["description"]
    assert schema["additionalProperties"] is False
    assert [name for name, told in parts(schema) if not told.get("description")] == []
    assert all("_" not in name for name, _ in parts(schema))


def test_every_kind_is_served() -> None:
    assert set(settings.BY_KIND) == set(FlowNodeKind)
