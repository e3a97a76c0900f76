"""Bad input as a user sends it, through GraphQL over HTTP: refused with the node's id and a sentence."""

from typing import Any

import pytest

from tests.automation.flows.drawing import edge, flow, node
from tests.automation.flows.test_graphql import PUBLISH, SIMULATE, UPDATE, VALIDATE, made
from tests.desk.desk import Desk, open_desk
from tests.factories import Factory


@pytest.fixture
async def shop(make: Factory, http: Any) -> Desk:
    return await open_desk(make, http)


async def told(shop: Desk, graph: dict[str, Any]) -> list[tuple[str, str]]:
    return [(it["nodeId"], it["message"]) for it in await shop.admin.ask(VALIDATE, graph=graph)]


async def test_f6_a_self_calling_flow_is_not_published(shop: Desk) -> None:
    made_ = await made(shop.admin)
    graph = flow(node("again", "JUMP", flowId=made_["id"]))
    saved = await shop.admin.ask(UPDATE, input={"id": made_["id"], "revision": 1, "graph": graph})
    sentence = "flowId: A flow does not call itself: name a node of it."
    problem = {"nodeId": "again", "severity": "ERROR", "message": sentence}
    assert (saved["userErrors"], saved["flow"]["problems"]) == ([], [problem])
    published = await shop.admin.ask(PUBLISH, input={"id": made_["id"], "revision": 2})
    assert (published["flow"] or saved["flow"])["published"] is None
    assert published["problems"] == [problem]


@pytest.mark.parametrize("pattern", [r"(a+)+\1$", "((a{1000}){1000}){1000}"])
async def test_f6_a_catastrophic_regex_is_refused(shop: Desk, pattern: str) -> None:
    asked = node("q", "QUESTION", text="?", variable="x", type="TEXT", pattern=pattern)
    sentence = (
        "pattern: A regular expression of at most 200 characters, without backreferences and lookarounds, "
        "that takes bounded time."
    )
    assert await told(shop, flow(asked)) == [("q", sentence)]


async def test_f6_a_catastrophic_regex_takes_linear_time_where_it_can_be_run(shop: Desk) -> None:
    asked = node("q", "QUESTION", text="?", variable="x", type="TEXT", pattern="(a+)+$", attempts=1)
    graph = flow(asked, node("e", "END"), edges=[edge("start", "q"), edge("q", "e")])
    answer = await shop.admin.ask(SIMULATE, input={"graph": graph, "replies": ["a" * 4000 + "!"]})
    assert (answer["status"], [it["leftBy"] for it in answer["steps"]]) == ("HANDED_OFF", ["next", "invalid"])


@pytest.mark.parametrize("name", ["contact.__class__.__mro__", "''.join", "contact.id"])
async def test_f7_a_template_that_reaches_for_attributes_is_refused(shop: Desk, name: str) -> None:
    graph = flow(node("n", "MESSAGE", text=f"Hi {{{{ {name} }}}}"))
    assert await told(shop, graph) == [("n", f"There is no value that is called {name}.")]


async def test_f4_variables_of_1_mb_do_not_pass_the_door(shop: Desk) -> None:
    graph = flow(node("n", "MESSAGE", text="Hi"))
    told_ = {"graph": graph, "variables": {"x": "a" * 1_000_000}}
    assert await shop.admin.code(SIMULATE, input=told_) == "BAD_USER_INPUT"
    answer = await shop.admin.ask(SIMULATE, input={"graph": graph})
    assert answer["status"] == "COMPLETED"
