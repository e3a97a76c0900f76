"""Each limit at its edge and beyond it, at both doors, refused before anything runs (G16, G17)."""

import pytest
from graphql import get_introspection_query, parse

from pytake_gql.kernel.errors import QueryTooComplex
from pytake_gql.kernel.graphql import costs, limits
from pytake_gql.kernel.graphql.schema import Schema
from pytake_gql.kernel.principal import Role
from tests.kernel.graphql.conftest import Both
from tests.kernel.graphql.specimen import ran


def deep(levels: int) -> str:
    """A document of so many levels of fields."""
    return "{tree" + "{child" * (levels - 2) + "{id}" + "}" * (levels - 2) + "}"


def bomb(generations: int) -> str:
    """Fragments that spread the next one twice: 2 ** generations fields."""
    parts = [f"fragment F{i} on Tree {{ ...F{i + 1} ...F{i + 1} }}" for i in range(generations)]
    return "{tree{...F0}}" + "".join(parts) + f"fragment F{generations} on Tree {{ id }}"


WITHIN = {
    "depth": deep(limits.DEPTH),
    "aliases": "{tree{" + "".join(f"a{i}:id " for i in range(limits.ALIASES)) + "}}",
    "root fields": "{" + "".join(f"a{i}:tree{{id}} " for i in range(limits.ROOT_FIELDS)) + "}",
    "directives": "{tree{" + "id @skip(if:false) " * limits.DIRECTIVES + "}}",
    "characters": "{tree{id}}" + " " * (limits.CHARACTERS - 10),
    "comments": "{tree{id}}" + "#\n" * limits.COMMENTS,
    "tokens": "{tree{id}" + f"echo(json:[{'1 ' * 1987}])" + "}",
    "fragments": bomb(6),
}

BEYOND = {
    "depth": deep(limits.DEPTH + 1),
    "depth through fragments": "{tree{child{child{child{child{child{...A}}}}}}} "
    "fragment A on Tree {child{child{child{child{child{child{id}}}}}}}",
    "aliases": "{tree{" + "".join(f"a{i}:id " for i in range(limits.ALIASES + 1)) + "}}",
    "aliases through fragments": "{tree{...A child{...A child{...A}}}} fragment A on Tree {"
    + "".join(f"a{i}:id " for i in range(11))
    + "}",
    "root fields": "{" + "tree{id} " * (limits.ROOT_FIELDS + 1) + "}",
    "root fields through fragments": "{...A ...A ...A} fragment A on SpecimenQuery {" + "tree{id} " * 7 + "}",
    "directives": "{tree{" + "id @skip(if:false) " * (limits.DIRECTIVES + 1) + "}}",
    "directives of an operation": "query " + "@a " * (limits.DIRECTIVES + 1) + "{tree{id}}",
    "characters": "{tree{id}}" + " " * (limits.CHARACTERS - 9),
    "comments": "{tree{id}}" + "#\n" * (limits.COMMENTS + 1),
    "tokens": "{tree{id}" + f"echo(json:[{'1 ' * 1988}])" + "}",
    "a fragment bomb": bomb(60),
    "a wide fragment bomb": "{tree{...F0}}"
    + "".join(f"fragment F{i} on Tree {{ child {{ {f'...F{i + 1} ' * 30} }} }}" for i in range(9))
    + "fragment F9 on Tree { id }",
    "an alias bomb": "{tree{" + "".join(f"a{i}:child{{id}} " for i in range(300)) + "}}",
    "ten thousand directives": "{tree{id " + "@a" * 10_000 + "}}",
    "fields that validation would compare pair by pair": "{tree{" + "child{id} " * 400 + "}}",
    "the same in inline fragments": "{tree{" + "...{child{id}} " * 250 + "}}",
    "selections nested in inline fragments": "{tree{" + "...{" * 70 + "id" + "}" * 70 + "}}",
    "nested fragments": "{tree{...F0}}"
    + "".join(f"fragment F{i} on Tree {{ ...F{i + 1} }}" for i in range(70))
    + "fragment F70 on Tree { id }",
    "literals nested too deep": "{echo(json:" + "[" * 33 + "]" * 33 + ")}",
    "literals nested deeper than the parser goes": "{echo(json:" + "[" * 900 + "]" * 900 + ")}",
    "a hundred nested pages": "{tree{trees(first:100){nodes{trees(first:100){nodes{trees(first:100){nodes{id}}}}}}}}",
    "pages by default": "{tree{trees{nodes{trees{nodes{trees{nodes{trees{nodes{id}}}}}}}}}}",
    "a page without end": "{tree{trees(first:2147483647){nodes{trees(last:-5 first:100){nodes{"
    "trees(first:100){nodes{id}}}}}}}}",
    "nested plain lists": "{tree" + "{children" * 8 + "{id}" + "}" * 9,
}

WRONG = {
    "a cycle": "{tree{...A}} fragment A on Tree {child{...B}} fragment B on Tree {child{...A}}",
    "a fragment within itself": "{tree{...A}} fragment A on Tree {...A}",
    "an unused fragment": "{tree{id}} fragment A on Tree {" + "child{id} " * 300 + "}",
    "an unknown fragment": "{tree{...A}}",
    "a page beyond all integers": "{tree{trees(first:99999999999999999999){nodes{id}}}}",
    "an integer without end": "{echo(number:" + "9" * 10_000 + ")}",
    "a number without end": "{echo(number:1e" + "9" * 10_000 + ")}",
    "a lone surrogate": '{echo(text:"\\uD800")}',
    "a byte order mark inside": "{tree{\ufeffid \u202e}}",
    "a NUL": "{tree{id\0}}",
    "nothing but a comment": "# nothing",
    "half a document": "{tree{",
    "no GraphQL at all": "SELECT 1",
    "an unknown field": "{tree{leaf}}",
    "an unknown directive": "{tree{id @deprecated}}",
    "a type definition": "type A { a: Int }",
    "several operations and no name": "query A {tree{id}} query B {tree{id}}",
    "two subscriptions in one": "subscription {count forever}",
}


@pytest.mark.parametrize("name", WITHIN)
async def test_g16_at_the_edge_a_document_is_served(both: Both, name: str) -> None:
    assert await both.errors(WITHIN[name]) == []


@pytest.mark.parametrize("name", BEYOND)
async def test_g16_g17_beyond_the_edge_nothing_runs(both: Both, name: str) -> None:
    before = ran.copy()
    assert await both.codes(BEYOND[name]) == ["QUERY_TOO_COMPLEX"]
    assert ran == before


@pytest.mark.parametrize("name", WRONG)
async def test_g16_g28_a_wrong_document_is_refused_with_a_code(both: Both, name: str) -> None:
    before = ran.copy()
    assert set(await both.codes(WRONG[name])) == {"BAD_USER_INPUT"}
    assert ran == before


async def test_g16_at_most_five_errors_are_told(both: Both) -> None:
    errors = await both.errors("{tree{" + " ".join(f"leaf{i}" for i in range(50)) + "}}")
    assert [error["message"] for error in errors] == [f"Cannot query field 'leaf{i}' on type 'Tree'." for i in range(5)]


async def test_g16_an_errors_message_is_short_whatever_it_complains_about(both: Both) -> None:
    (error,) = await both.errors('{echo(number:"' + "x" * 50_000 + '")}')
    assert len(str(error["message"])) == limits.MESSAGE


@pytest.mark.parametrize("name", [name for name in BEYOND if "bomb" in name or "pair" in name])
def test_g16_what_is_refused_was_not_walked_through(name: str) -> None:
    """A bomb costs no more than its text: the nodes looked at are fewer than its tokens."""
    visited = _visited(BEYOND[name])
    assert visited <= limits.TOKENS


def _visited(text: str) -> int:
    seen: list[int] = []

    class Counting(limits.Measurement):
        def __setattr__(self, attribute: str, value: object) -> None:
            super().__setattr__(attribute, value)
            if attribute == "visited":
                seen.append(self.visited)

    with pytest.raises(QueryTooComplex):
        Counting(parse(text))
    return max(seen, default=0)


@pytest.mark.parametrize(
    ("document", "variables", "cost"),
    [
        ("{tree{id}}", {}, 2),
        ("{tree{id child{id}}}", {}, 4),
        ("{tree{children{id child{id}}}}", {}, 2 + costs.PLAIN_LIST * 3),
        ("{tree{trees{nodes{id}}}}", {}, 2 + 25 * 2),
        ("{tree{trees(first:10){nodes{id}}}}", {}, 2 + 10 * 2),
        ("{tree{trees(last:10){nodes{id}}}}", {}, 2 + 10 * 2),
        ("{tree{trees(first:0){nodes{id}}}}", {}, 2 + 2),
        ("{tree{trees(first:-3){nodes{id}}}}", {}, 2 + 2),
        ("{tree{trees(first:2147483647){nodes{id}}}}", {}, 2 + 100 * 2),
        ("{tree{trees(first:10 last:20){nodes{id}}}}", {}, 2 + 20 * 2),
        ("query($n:Int){tree{trees(first:$n){nodes{id}}}}", {"n": 7}, 2 + 7 * 2),
        ("query($n:Int){tree{trees(first:$n){nodes{id}}}}", {"n": None}, 2 + 25 * 2),
        ("query($n:Int){tree{trees(first:$n){nodes{id}}}}", {}, 2 + 25 * 2),
        ("query($n:Int){tree{trees(first:$n){nodes{id}}}}", {"n": 10**30}, 2 + 100 * 2),
        ("query($n:Int){tree{trees(first:$n){nodes{id}}}}", {"n": "many"}, 2 + 100 * 2),
        ("query($n:Int=4){tree{trees(first:$n){nodes{id}}}}", {}, 2 + 4 * 2),
        ("query($n:Int){tree{...A}} fragment A on Tree {trees(first:$n){nodes{id}}}", {"n": 3}, 2 + 3 * 2),
        ("{tree{trees(first:10){nodes{trees(first:10){nodes{id}}}}}}", {}, 2 + 10 * (2 + 10 * 2)),
        ("{__schema{types{fields{name}}} tree{id}}", {}, 3),
    ],
)
def test_g16_the_cost_is_the_product_of_the_pages(
    schema: Schema, document: str, variables: dict[str, object], cost: int
) -> None:
    operation = schema.documents.read(document, suggests=True).operation(None)
    assert operation.cost(variables) == cost


async def test_g16_the_budget_is_the_roles(both: Both) -> None:
    """An agent's 15,000, at its edge."""
    document = "query($n:Int $m:Int){tree{trees(first:$n){nodes{trees(first:$m){nodes{id}}}}}}"
    assert costs.BUDGETS[Role.AGENT] == 15_000
    assert 2 + 97 * (2 + 76 * 2) == 14_940
    assert await both.codes(document, n=97, m=76) == []
    assert 2 + 98 * (2 + 76 * 2) == 15_094
    (error,) = await both.errors(document, n=98, m=76)
    assert error["message"] == "The operation costs 15094, and your budget is 15000."
    assert error["extensions"] == {"code": "QUERY_TOO_COMPLEX"}


async def test_g16_the_second_time_a_document_is_neither_parsed_nor_validated(both: Both, schema: Schema) -> None:
    documents = schema.documents
    query = "query($n:Int){tree{trees(first:$n){nodes{id}}}} # once and again"
    await both.codes(query, n=1)
    parsed, validated, hits = documents.parsed, documents.validated, documents.hits
    assert await both.codes(query, n=2) == []
    assert (documents.parsed, documents.validated, documents.hits) == (parsed, validated, hits + 2)
    # What is wrong with a document is known the second time, too.
    await both.codes("{tree{bark}}")
    parsed, validated, hits = documents.parsed, documents.validated, documents.hits
    assert await both.codes("{tree{bark}}") == ["BAD_USER_INPUT"]
    assert (documents.parsed, documents.validated, documents.hits) == (parsed, validated, hits + 2)


async def test_g18_in_production_nothing_is_told_about_the_schema(production_both: Both, both: Both) -> None:
    for document in (
        get_introspection_query(),
        "{__schema{types{name}}}",
        '{...A} fragment A on SpecimenQuery {__type(name:"Tree"){name}}',
    ):
        assert await both.codes(document) == []
        assert await production_both.codes(document) == ["BAD_USER_INPUT"]
    assert await production_both.codes("{tree{__typename}}") == []


async def test_g18_in_production_nothing_is_suggested(production_both: Both, both: Both) -> None:
    for document in ("{tree{chil}}", "{tree{trees(frist:1){nodes{id}}}}", "{tre{id}}"):
        (error,) = await both.errors(document)
        (quiet,) = await production_both.errors(document)
        assert "Did you mean" in str(error["message"])
        assert "Did you mean" not in str(quiet["message"])
