"""Setting automations up through the door: what is taken, shown and refused (S9, S12, S14, S20-S23)."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pytake_gql.automation.flow_automations.models import FlowAutomation, ScheduleException
from pytake_gql.automation.flows.models import Flow
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import Role
from tests.automation.flow_automations.automations import (
    BACKFILL,
    CREATE,
    DAILY,
    DELETE,
    RUN,
    STATUS,
    UPDATE,
    Automations,
    refusals,
)
from tests.conftest import TravellingClock

LIST = """query ($filter: FlowAutomationFilter, $first: Int, $after: String) {
    flowAutomations(filter: $filter, first: $first, after: $after) {
        totalCount nodes { id name } pageInfo { hasNextPage endCursor } } }"""
ZONE = ZoneInfo("America/Sao_Paulo")


def local(instant: str) -> datetime:
    return datetime.fromisoformat(instant).astimezone(ZONE)


def ahead(automations: Automations, days: int, time: str = "09:00") -> str:
    """A local date and time some days from now."""
    return f"{(automations.now().astimezone(ZONE) + timedelta(days=days)).date()}T{time}"


async def test_it_is_created_as_a_draft_and_fires_from_its_activation_on(automations: Automations) -> None:
    await automations.campaign.contacts(3)
    made = await automations.create(
        description="Para todos", schedule=DAILY, variables={"saudacao": "Olá {{contact.name}}"}
    )
    assert (made["status"], made["nextFiringAt"], made["upcoming"], made["revision"]) == ("DRAFT", None, [], 1)
    assert (made["name"], made["description"], made["audience"]) == ("Bom dia", "Para todos", {"all": True})
    assert (made["audienceSize"], made["variables"]) == (3, {"saudacao": "Olá {{contact.name}}"})
    assert made["limits"] == {"maxConcurrent": 100, "ratePerMinute": 600, "maxAttempts": 3}
    assert made["schedule"]["recurrence"] == {"daily": {"interval": 1, "times": ["09:00"]}}
    assert (made["schedule"]["summary"], made["schedule"]["overlap"]) == ("Todo dia às 09:00", "SKIP")
    active = (await automations.change(STATUS, id=made["id"], status="ACTIVE"))["flowAutomation"]
    assert (active["status"], active["statusReason"]) == ("ACTIVE", None)
    assert active["upcoming"][0]["firesAt"] == active["nextFiringAt"]
    assert local(active["nextFiringAt"]).strftime("%H:%M") == "09:00"
    assert timedelta() < local(active["nextFiringAt"]) - automations.now() <= timedelta(days=1)


async def test_a_whole_schedule_is_stored_and_shown_as_it_was_given(automations: Automations) -> None:
    first, second, third = (ahead(automations, days)[:10] for days in (10, 20, 30))
    schedule = {
        "timezone": "America/New_York",
        "recurrence": {
            "monthly": {
                "interval": 2,
                "days": [31, -1],
                "nthWeekdays": [{"nth": -1, "weekday": "FRIDAY"}],
                "times": ["15:30", "09:00"],
                "missingDay": "SKIP",
            }
        },
        "startsAt": ahead(automations, 1),
        "endsAt": ahead(automations, 900),
        "count": 40,
        "window": {"opensAt": "06:00", "closesAt": "02:00", "policy": "SKIP"},
        "skipWeekends": True,
        "skipHolidays": True,
        "overlap": "BUFFER_ONE",
        "catchUp": "ALL",
        "catchUpSeconds": 60,
        "jitterSeconds": 30,
        "exceptions": [
            {"kind": "MODIFY", "from": third, "time": "23:00", "limits": {"maxAttempts": 9}},
            {"kind": "SKIP", "from": first, "reason": "Inventário"},
            {"kind": "RESCHEDULE", "from": second, "rescheduleTo": ahead(automations, 21, "12:00:30")},
        ],
    }
    made = (await automations.create(schedule=schedule))["schedule"]
    assert made["recurrence"] == {
        "monthly": {**schedule["recurrence"]["monthly"], "days": [-1, 31], "times": ["09:00", "15:30"]}  # type: ignore[index]
    }
    for name in ("timezone", "startsAt", "endsAt", "count", "window", "skipWeekends", "skipHolidays", "overlap"):
        assert made[name] == schedule[name]
    assert (made["catchUp"], made["catchUpSeconds"], made["jitterSeconds"]) == ("ALL", 60, 30)
    assert [(one["kind"], one["from"], one["to"]) for one in made["exceptions"]] == [
        *(("SKIP", first, first), ("RESCHEDULE", second, second), ("MODIFY", third, third)),
    ]
    assert made["exceptions"][0]["reason"] == "Inventário"
    assert made["exceptions"][1]["rescheduleTo"] == ahead(automations, 21, "12:00:30")
    assert made["exceptions"][2]["limits"] == {"maxConcurrent": 100, "ratePerMinute": 600, "maxAttempts": 9}
    assert len(await automations.rows(ScheduleException)) == 3


@pytest.mark.parametrize(
    "recurrence",
    [
        {"once": {"at": "2032-05-01T09:00:30"}},
        {"daily": {"interval": 3, "times": ["09:00"]}},
        {"weekly": {"interval": 1, "weekdays": ["MONDAY", "SUNDAY"], "times": ["09:00"]}},
        {"cron": {"expression": "0 9 * * MON-FRI"}},
        {"dates": {"at": ["2032-05-01T09:00", "2032-05-02T09:00"]}},
    ],
)
async def test_each_kind_of_recurrence_is_kept(automations: Automations, recurrence: dict[str, Any]) -> None:
    made = await automations.create(schedule={**DAILY, "recurrence": recurrence})
    assert made["schedule"]["recurrence"] == recurrence


async def test_bad_automations_are_refused_with_the_path_of_each_field(automations: Automations) -> None:
    assert await automations.refused(name=" ", flowId="Flow_00000000000070008000000000000000") == [
        *(("REQUIRED", "name"), ("NOT_FOUND", "flowId")),
    ]
    assert await automations.refused(channelId=global_id("Flow", automations.version.flow_id)) == [
        ("NOT_FOUND", "channelId")
    ]
    assert await automations.refused(audience={"all": False}) == [("INVALID", "audience.all")]
    assert await automations.refused(audience={"contactIds": []}) == [("REQUIRED", "audience.contactIds")]
    nobody = global_id("Contact", automations.organization_id)
    assert await automations.refused(audience={"contactIds": [nobody]}) == [("NOT_FOUND", "audience.contactIds.0")]
    tag = global_id("Tag", automations.organization_id)
    assert await automations.refused(audience={"filter": {"tagIds": [tag]}}) == [
        ("NOT_FOUND", "audience.filter.tagIds.0")
    ]
    assert await automations.refused(variables=["x"]) == [("INVALID", "variables")]
    assert await automations.refused(variables={"1x": "a", "ok": {}, "b": "{{contact.shoe}}"}) == [
        *(("INVALID", f"variables.{name}") for name in ("1x", "ok", "b")),
    ]
    assert await automations.refused(limits={"maxConcurrent": 0}) == [("INVALID", "limits.maxConcurrent")]
    assert await automations.refused(schedule={**DAILY, "count": 10**9}) == [("INVALID", "schedule.count")]


async def test_s12_a_schedule_with_nothing_left_to_fire_is_refused_when_it_is_saved(automations: Automations) -> None:
    gone = {**DAILY, "recurrence": {"once": {"at": "2020-05-01T09:00"}}}
    assert await automations.refused(schedule=gone) == [("INVALID", "schedule")]
    assert await automations.refused(schedule={**DAILY, "endsAt": "2020-05-01T09:00"}) == [("INVALID", "schedule")]


async def test_s14_a_target_in_the_past_is_refused_unless_it_was_saved_in_time(
    automations: Automations, clock: TravellingClock
) -> None:
    past = {"kind": "RESCHEDULE", "from": ahead(automations, 3)[:10], "rescheduleTo": "2020-05-01T09:00"}
    skipped = {"kind": "SKIP", "from": ahead(automations, 9)[:10]}
    assert await automations.refused(schedule={**DAILY, "exceptions": [skipped, past]}) == [
        ("INVALID", "schedule.exceptions.1.rescheduleTo")
    ]
    once = {"kind": "RESCHEDULE", "from": ahead(automations, 1)[:10], "rescheduleTo": ahead(automations, 1, "23:00")}
    made = await automations.create(schedule={**DAILY, "exceptions": [once]})
    await automations.later(clock, days=3)
    payload = await automations.change(UPDATE, id=made["id"], schedule={**DAILY, "exceptions": [once, skipped]})
    assert refusals(payload) == []
    assert len(payload["flowAutomation"]["schedule"]["exceptions"]) == 2


async def test_s14_the_database_itself_keeps_exceptions_apart(automations: Automations) -> None:
    skipped = {"kind": "SKIP", "from": "2099-05-01", "to": "2099-05-03"}
    made = await automations.create(schedule={**DAILY, "exceptions": [skipped]})
    (row,) = await automations.rows(ScheduleException)
    twin = ScheduleException(
        automation_id=(await automations.row(made["id"])).id,
        kind=row.kind,
        starts_on=row.ends_on,
        ends_on=row.ends_on,
        details=row.details,
    )
    with pytest.raises(Exception, match="ex_schedule_exceptions_apart"):
        await automations.desk.make.save(automations.organization_id, twin)


async def test_s22_an_edit_raises_the_revision_aims_anew_and_a_stale_one_is_refused(automations: Automations) -> None:
    made = await automations.create(schedule=DAILY, activate=True)
    later = {**DAILY, "recurrence": {"daily": {"times": ["10:15"]}}}
    payload = await automations.change(UPDATE, id=made["id"], schedule=later, revision=1)
    changed = payload["flowAutomation"]
    assert (refusals(payload), changed["revision"]) == ([], 2)
    assert local(changed["nextFiringAt"]).strftime("%H:%M") == "10:15"
    stale = await automations.change(UPDATE, id=made["id"], name="Outra", revision=1)
    assert (stale["flowAutomation"], refusals(stale)) == (None, [("STALE", "revision")])
    same = await automations.change(UPDATE, id=made["id"], name="Bom dia")
    assert same["flowAutomation"]["revision"] == 2
    by_hand = (await automations.change(UPDATE, id=made["id"], schedule=None))["flowAutomation"]
    assert (by_hand["schedule"], by_hand["nextFiringAt"], by_hand["status"]) == (None, None, "ACTIVE")
    assert refusals(await automations.change(UPDATE, id=made["id"], audience=None, flowId=None)) == [
        *(("REQUIRED", "flowId"), ("REQUIRED", "audience")),
    ]


async def test_s22_an_edit_cancels_what_has_not_begun_and_a_new_name_does_not(automations: Automations) -> None:
    made = await automations.create()
    await automations.change(RUN, id=made["id"])
    await automations.change(UPDATE, id=made["id"], name="Boa tarde")
    assert [status for _, status in await automations.history(made["id"])] == ["QUEUED"]
    await automations.change(UPDATE, id=made["id"], variables={"x": "1"})
    assert [status for _, status in await automations.history(made["id"])] == ["CANCELLED"]


async def test_what_is_active_keeps_a_published_flow(automations: Automations) -> None:
    document = (
        """mutation ($input: CreateFlowInput!) { createFlow(input: $input) { flow { id } userErrors { code } } }"""
    )
    draft = (await automations.admin.ask(document, input={"name": "Rascunho"}))["flow"]["id"]
    made = await automations.create(schedule=DAILY, activate=True)
    refused = await automations.change(UPDATE, id=made["id"], flowId=draft)
    assert (refused["flowAutomation"], refusals(refused)) == (None, [("WRONG_STATE", "flowId")])
    row = await automations.row(made["id"])
    assert (row.flow_id, row.revision) == (automations.version.flow_id, 1)
    assert row.next_firing_at == datetime.fromisoformat(made["nextFiringAt"])
    await automations.change(STATUS, id=made["id"], status="PAUSED")
    changed = await automations.change(UPDATE, id=made["id"], flowId=draft)
    assert refusals(changed) == []
    assert refusals(await automations.change(STATUS, id=made["id"], status="ACTIVE")) == [("WRONG_STATE", "flowId")]


async def test_s20_a_pause_clears_the_next_firing_and_resuming_counts_from_now(
    automations: Automations, clock: TravellingClock
) -> None:
    made = await automations.create(schedule=DAILY, activate=True)
    paused = (await automations.change(STATUS, id=made["id"], status="PAUSED"))["flowAutomation"]
    assert (paused["status"], paused["nextFiringAt"], paused["upcoming"]) == ("PAUSED", None, [])
    await automations.later(clock, days=3)
    await automations.tick()
    resumed = (await automations.change(STATUS, id=made["id"], status="ACTIVE"))["flowAutomation"]
    assert local(resumed["nextFiringAt"]) > automations.now()
    assert await automations.history(made["id"]) == []


async def test_states_that_come_about_by_themselves_are_not_set(automations: Automations) -> None:
    made = await automations.create(schedule=DAILY)
    for status in ("DRAFT", "COMPLETED"):
        assert refusals(await automations.change(STATUS, id=made["id"], status=status)) == [("INVALID", "status")]
    assert refusals(await automations.change(STATUS, id=made["id"], status="PAUSED")) == [("WRONG_STATE", "status")]
    await automations.set(Flow, automations.version.flow_id, published_number=None)
    assert refusals(await automations.change(STATUS, id=made["id"], status="ACTIVE")) == [("WRONG_STATE", "flowId")]
    assert (await automations.read(made["id"]))["status"] == "DRAFT"
    assert await automations.refused(activate=True) == [("WRONG_STATE", "flowId")]


async def test_s23_a_deleted_automation_is_gone_for_all_but_its_executions(automations: Automations) -> None:
    made = await automations.create(schedule=DAILY, activate=True)
    execution = (await automations.change(RUN, id=made["id"]))["execution"]["id"]
    payload = await automations.change(DELETE, id=made["id"])
    assert payload["flowAutomation"]["id"] == made["id"]
    assert await automations.read(made["id"]) is None
    asked = "query ($id: ID!) { flowExecution(id: $id) { status automation { id flow { id } channel { id } } } }"
    found = await automations.admin.ask(asked, id=execution)
    assert (found["status"], found["automation"]["id"]) == ("CANCELLED", made["id"])
    for document, more in ((UPDATE, {"name": "x"}), (STATUS, {"status": "ACTIVE"}), (DELETE, {}), (RUN, {})):
        assert refusals(await automations.change(document, id=made["id"], **more)) == [("NOT_FOUND", "id")]


async def test_s19_a_run_by_hand_has_one_execution_for_a_key(automations: Automations) -> None:
    made = await automations.create()
    runs = [await automations.change(RUN, id=made["id"], idempotencyKey="a", dryRun=True) for _ in range(2)]
    assert runs[0] == runs[1]
    assert (runs[0]["execution"]["trigger"], runs[0]["execution"]["isDryRun"]) == ("MANUAL", True)
    assert runs[0]["execution"]["triggeredBy"] is not None
    other = await automations.change(RUN, id=made["id"])
    assert other["execution"]["id"] != runs[0]["execution"]["id"]
    assert len(await automations.history(made["id"])) == 2
    assert refusals(await automations.change(RUN, id=made["id"], idempotencyKey="k" * 121)) == [
        ("TOO_LONG", "idempotencyKey")
    ]
    await automations.change(STATUS, id=made["id"], status="ARCHIVED")
    assert refusals(await automations.change(RUN, id=made["id"])) == [("WRONG_STATE", "id")]


async def test_s19_a_backfill_fires_what_did_not_run_and_nothing_twice(
    automations: Automations, clock: TravellingClock
) -> None:
    made = await automations.create(schedule=DAILY)
    begin = automations.now()
    await automations.later(clock, days=10)
    span = {"from": (begin + timedelta(days=1)).isoformat(), "to": (begin + timedelta(days=5)).isoformat()}
    found = await automations.change(BACKFILL, id=made["id"], **span)
    assert (refusals(found), [one["trigger"] for one in found["executions"]]) == ([], ["BACKFILL"] * 4)
    assert sorted(one["scheduledFor"] for one in found["executions"]) == [
        one["scheduledFor"] for one in found["executions"]
    ]
    wider = {"from": begin.isoformat(), "to": (begin + timedelta(days=6)).isoformat()}
    again = await automations.change(BACKFILL, id=made["id"], **wider)
    assert len(again["executions"]) == 2
    assert len(await automations.history(made["id"])) == 6
    for bad, code, path in (
        ({"from": span["to"], "to": span["from"]}, "INVALID", "to"),
        ({"from": span["from"], "to": (automations.now() + timedelta(hours=1)).isoformat()}, "INVALID", "to"),
        ({"from": "2020-01-01T00:00:00Z", "to": span["to"]}, "TOO_MANY", "to"),
    ):
        assert refusals(await automations.change(BACKFILL, id=made["id"], **bad)) == [(code, path)]
    by_hand = await automations.create()
    assert refusals(await automations.change(BACKFILL, id=by_hand["id"], **span)) == [("WRONG_STATE", "id")]
    assert len(await automations.history(made["id"])) == 6


async def test_audiences_are_counted_without_those_who_asked_for_silence(automations: Automations) -> None:
    contacts = await automations.campaign.contacts(4)
    await automations.campaign.contacts(2, is_blocked=True)
    await automations.campaign.contacts(2, opted_out_at=automations.now())
    ids = [global_id("Contact", contact.id) for contact in contacts[:2]]
    for audience, size in (
        ({"all": True}, 4),
        ({"contactIds": ids}, 2),
        ({"filter": {"search": contacts[3].name}}, 1),
        ({"filter": {"isBlocked": True}}, 0),
    ):
        made = await automations.create(audience=audience)
        assert (made["audience"], made["audienceSize"]) == (audience, size)


async def test_lists_are_filtered_and_paged_the_newest_first(automations: Automations) -> None:
    made = [await automations.create(name=f"Lista {number} de 100%") for number in range(3)]
    await automations.change(STATUS, id=made[1]["id"], status="ARCHIVED")
    admin = automations.admin

    async def ids(**given: Any) -> list[str]:
        return [node["id"] for node in (await admin.ask(LIST, **given))["nodes"]]

    newest = [one["id"] for one in reversed(made)]
    assert await ids(filter={"search": "lista"}) == newest
    assert await ids(filter={"search": "0%"}) == newest
    assert await ids(filter={"search": "_"}) == []
    assert await ids(filter={"status": ["ARCHIVED"]}) == [made[1]["id"]]
    assert await ids(filter={"search": "Lista", "flowId": made[0]["flow"]["id"]}) == newest
    assert await ids(filter={"flowId": made[0]["channel"]["id"]}) == []
    first = await admin.ask(LIST, filter={"search": "Lista"}, first=2)
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"]) == (3, True)
    assert await ids(filter={"search": "Lista"}, first=2, after=first["pageInfo"]["endCursor"]) == newest[2:]


async def test_only_admins_set_automations_up_and_everybody_reads_them(automations: Automations) -> None:
    made = await automations.create()
    _, viewer = await automations.desk.colleague(Role.VIEWER, serves=False)
    asked = "query ($id: ID!) { node(id: $id) { ... on FlowAutomation { name } } }"
    assert (await viewer.ask(asked, id=made["id"]))["name"] == "Bom dia"
    for document, given in ((CREATE, automations.given()), (DELETE, {"id": made["id"]}), (RUN, {"id": made["id"]})):
        assert await automations.desk.agent.code(document, input=given) == "FORBIDDEN"
    assert len(await automations.rows(FlowAutomation, FlowAutomation.name == "Bom dia")) == 1


async def test_flows_and_channels_of_automations_are_not_deleted_under_them(automations: Automations) -> None:
    made = await automations.create()
    drop = "mutation ($id: ID!) { deleteFlow(input: {id: $id}) { userErrors { code field message } } }"
    assert refusals(await automations.admin.ask(drop, id=made["flow"]["id"])) == [("WRONG_STATE", "id")]
    drop = "mutation ($id: ID!) { deleteChannel(input: {id: $id}) { userErrors { code field message } } }"
    assert refusals(await automations.admin.ask(drop, id=made["channel"]["id"])) == [("WRONG_STATE", "id")]


async def test_changes_are_told_to_the_audit_log(automations: Automations) -> None:
    made = await automations.create()
    await automations.change(STATUS, id=made["id"], status="ARCHIVED")
    await automations.change(DELETE, id=made["id"])
    asked = '{ auditLog(entityType: "FlowAutomation", first: 5) { nodes { action entityId } } }'
    entries = (await automations.admin.ask(asked))["nodes"]
    assert [entry["action"] for entry in entries] == [
        *("flow_automation.deleted", "flow_automation.updated", "flow_automation.created"),
    ]
