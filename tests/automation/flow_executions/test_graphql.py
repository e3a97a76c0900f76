"""Executions through the door: who may see and do what, what is told, and what is written about it."""

import asyncio
import itertools
from typing import Any
from uuid import UUID

import pytest

from pytake_gql.automation.flow_executions import live as progress
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.members.models import Availability
from tests.automation.flow_executions.campaign import ASKS, Campaign, Recorder, plan
from tests.automation.flow_executions.test_sending import GONE
from tests.client import Client
from tests.desk.desk import Desk
from tests.sockets import Served

SHOW = """query ($id: ID!) { flowExecution(id: $id) {
    id trigger status reason isDryRun startedAt finishedAt triggeredBy { name }
    counts { total pending sending sent delivered read replied completed failed skipped cancelled unknown expired }
} }"""
LIST = """query ($id: ID!, $status: [RecipientStatus!], $first: Int, $after: String) { flowExecution(id: $id) {
    recipients(status: $status, first: $first, after: $after) { totalCount pageInfo { hasNextPage endCursor } nodes {
        status reason attempts variables contact { name } conversation { number } flowRun { status steps { nodeId } } }
    } } }"""
CANCEL = """mutation ($id: ID!) { cancelExecution(input: {id: $id}) {
    execution { status counts { cancelled } } userErrors { code field message } } }"""
RETRY = """mutation ($id: ID!) { retryExecution(input: {id: $id}) {
    execution { status counts { pending } } userErrors { code field message } } }"""
PROGRESS = """subscription ($id: ID!) { executionProgress(executionId: $id) {
    status counts { total pending sending completed cancelled } } }"""
LOG = '{ auditLog(entityType: "FlowExecution") { nodes { action actorName changes } } }'


def outside(execution_id: UUID) -> str:
    return global_id("FlowExecution", execution_id)


async def test_an_execution_is_shown_with_the_sum_of_its_recipients(campaign: Campaign) -> None:
    await campaign.contacts(3)
    await campaign.desk.make.contact(campaign.desk.organization)
    member = campaign.desk.agent_member
    execution_id = await campaign.fire(triggered_by_id=member.id)
    await campaign.finish(execution_id, Recorder(answers=[GONE]))
    shown = await campaign.desk.agent.ask(SHOW, id=outside(execution_id))
    nothing = dict.fromkeys(
        ("pending", "sending", "sent", "delivered", "read", "replied", "cancelled", "unknown", "expired"), 0
    )
    assert shown.pop("startedAt") <= shown.pop("finishedAt")
    assert shown == {
        "id": outside(execution_id),
        "trigger": "MANUAL",
        "status": "COMPLETED_WITH_ERRORS",
        "reason": None,
        "isDryRun": False,
        "triggeredBy": {"name": member.name},
        "counts": {"total": 4, "completed": 2, "failed": 1, "skipped": 1, **nothing},
    }


async def test_f10_the_history_tells_of_each_recipient_its_reason_its_conversation_and_its_path(
    campaign: Campaign,
) -> None:
    await campaign.contacts(2)
    await campaign.desk.make.contact(campaign.desk.organization, name="Rui")
    execution_id = await campaign.fire(variables={"nome": "{{contact.name}}"})
    await campaign.finish(execution_id)
    found = (await campaign.desk.admin.ask(LIST, id=outside(execution_id)))["recipients"]
    assert found["totalCount"] == 3
    by_name = {node["contact"]["name"]: node for node in found["nodes"]}
    assert by_name["Rui"] == {
        "status": "SKIPPED",
        "reason": "O contato não é conhecido neste canal.",
        "attempts": 1,
        "variables": {},
        "contact": {"name": "Rui"},
        "conversation": None,
        "flowRun": None,
    }
    told = by_name["Cliente 0"]
    assert told["conversation"]["number"] in {1, 2}
    assert told["flowRun"] == {"status": "COMPLETED", "steps": [{"nodeId": "s"}, {"nodeId": "m"}, {"nodeId": "e"}]}
    assert (told["status"], told["variables"], told["reason"]) == ("COMPLETED", {"nome": "Cliente 0"}, None)


async def test_recipients_are_paged_and_filtered(campaign: Campaign) -> None:
    await campaign.contacts(5)
    await campaign.desk.make.contact(campaign.desk.organization)
    execution_id = await campaign.fire()
    await campaign.finish(execution_id)
    asked: dict[str, Any] = {"id": outside(execution_id), "status": ["COMPLETED", "FAILED"], "first": 2}
    names: list[str] = []
    while True:
        page = (await campaign.desk.agent.ask(LIST, **asked))["recipients"]
        assert page["totalCount"] == 5
        names += [node["contact"]["name"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        asked["after"] = page["pageInfo"]["endCursor"]
    assert sorted(names) == [f"Cliente {number}" for number in range(5)]
    none = (await campaign.desk.agent.ask(LIST, id=outside(execution_id), status=[]))["recipients"]
    assert (none["totalCount"], none["nodes"]) == (0, [])
    assert await campaign.desk.agent.code(LIST, id=outside(execution_id), first=101) == "BAD_USER_INPUT"


async def test_d21_who_may_not_see_a_conversation_sees_that_somebody_was_told_and_not_where(
    campaign: Campaign,
) -> None:
    await campaign.contacts()
    execution_id = await campaign.fire()
    await campaign.finish(execution_id)
    _, elsewhere = await campaign.desk.colleague(serves=False, availability=Availability.ONLINE)
    (node,) = (await elsewhere.ask(LIST, id=outside(execution_id)))["recipients"]["nodes"]
    assert (node["status"], node["conversation"], node["flowRun"]) == ("COMPLETED", None, None)


async def test_cancelling_is_told_at_once_and_written_down(campaign: Campaign) -> None:
    await campaign.contacts(4)
    execution_id = await campaign.fire(limits=campaign.limits(rate_per_minute=1))
    await campaign.look(execution_id)
    told = await campaign.desk.admin.ask(CANCEL, id=outside(execution_id))
    assert told == {"execution": {"status": "CANCELLED", "counts": {"cancelled": 4}}, "userErrors": []}
    again = await campaign.desk.admin.ask(CANCEL, id=outside(execution_id))
    assert again["execution"] is None
    assert again["userErrors"] == [
        {"code": "WRONG_STATE", "field": ["id"], "message": "The execution has ended already."}
    ]
    (entry,) = (await campaign.desk.admin.ask(LOG))["nodes"]
    assert (entry["action"], entry["changes"]["status"]) == (
        "flow_execution.cancelled",
        {"from": "RUNNING", "to": "CANCELLED"},
    )


async def test_retrying_is_told_and_written_down(campaign: Campaign) -> None:
    await campaign.contacts(2)
    execution_id, channel = await campaign.fire(), Recorder(answers=[GONE])
    await campaign.finish(execution_id, channel)
    told = await campaign.desk.admin.ask(RETRY, id=outside(execution_id))
    assert told == {"execution": {"status": "RUNNING", "counts": {"pending": 1}}, "userErrors": []}
    assert (await campaign.desk.admin.ask(RETRY, id=outside(execution_id)))["userErrors"][0]["code"] == "WRONG_STATE"
    await campaign.finish(execution_id, channel)
    (entry,) = (await campaign.desk.admin.ask(LOG))["nodes"]
    assert entry["action"] == "flow_execution.retried"
    assert entry["changes"]["recipients"] == {"from": 0, "to": 1}


@pytest.mark.parametrize("role", [Role.AGENT, Role.VIEWER])
@pytest.mark.parametrize("document", [CANCEL, RETRY])
async def test_only_admins_cancel_and_retry(campaign: Campaign, role: Role, document: str) -> None:
    await campaign.contacts()
    execution_id = await campaign.fire()
    _, client = await campaign.desk.colleague(role, serves=False)
    assert await client.code(document, id=outside(execution_id)) == "FORBIDDEN"
    assert (await campaign.execution(execution_id)).status == "QUEUED"


async def test_another_organizations_execution_is_not_there(campaign: Campaign) -> None:
    await campaign.contacts()
    execution_id, make = await campaign.fire(), campaign.desk.make
    stranger = await make.signed_in(await make.member(await make.organization(), Role.ORG_ADMIN))
    client = Client(campaign.desk.http, stranger.token)
    assert await client.ask(SHOW, id=outside(execution_id)) is None
    for document in (CANCEL, RETRY):
        told = await client.ask(document, id=outside(execution_id))
        assert [error["code"] for error in told["userErrors"]] == ["NOT_FOUND"]
    assert (await campaign.execution(execution_id)).status == "QUEUED"


async def test_the_progress_begins_with_what_is_and_is_told_at_each_change_but_not_too_often(
    desk: Desk, live_fast: None, live: Served
) -> None:
    del live_fast
    asking = await plan(desk, ASKS)
    await asking.contacts(60)
    execution_id = await asking.fire()
    token = desk.agent.token or ""
    async with live.socket() as socket:
        await socket.start(token)
        await socket.subscribe(PROGRESS, id=outside(execution_id))
        first = await socket.update()
        assert first["status"] == "QUEUED"
        assert first["counts"]["total"] == 0
        loop, times = asyncio.get_running_loop(), list[float]()
        running = asyncio.create_task(asking.finish(execution_id))
        told = first
        while told["status"] != "COMPLETED":
            told = await socket.update()
            times.append(loop.time())
        await running
    assert told["counts"] == {"total": 60, "pending": 0, "sending": 0, "completed": 0, "cancelled": 0}
    assert all(later - earlier >= BETWEEN * 0.9 for earlier, later in itertools.pairwise(times))


BETWEEN = 0.2


@pytest.fixture
def live_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second is long for a test."""
    assert progress.BETWEEN_SECONDS == 1.0
    monkeypatch.setattr(progress, "BETWEEN_SECONDS", BETWEEN)
