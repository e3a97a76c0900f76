"""Queues, through the door."""

from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.members.models import Member
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.factories import Factory

FIELDS = """id department { id } name slug description color icon isActive priority routingStrategy autoAssign
    sla { firstResponseMinutes nextResponseMinutes resolutionMinutes } openingHours { weekday opensAt closesAt }
    requiredSkills { skill { id name } minLevel isMandatory } relaxSkillsAfterSeconds order maxSize overflowQueue { id }
    reopenWithinHours members { id }"""
CREATE = f"""mutation ($input: CreateQueueInput!) {{ createQueue(input: $input) {{
    queue {{ {FIELDS} }} userErrors {{ code field }} }} }}"""
UPDATE = f"""mutation ($input: UpdateQueueInput!) {{ updateQueue(input: $input) {{
    queue {{ {FIELDS} }} userErrors {{ code field }} }} }}"""
DELETE = """mutation ($input: DeleteQueueInput!) { deleteQueue(input: $input) {
    queue { id } userErrors { code field } } }"""
READ = f"query ($id: ID!) {{ queue(id: $id) {{ {FIELDS} }} }}"
DELETE_DEPARTMENT = """mutation ($input: DeleteDepartmentInput!) { deleteDepartment(input: $input) {
    department { id } userErrors { code field } } }"""


@dataclass(frozen=True)
class Desk:
    """An organization with a department, as its admin works in it."""

    organization: Organization
    admin: Client
    department_id: str
    make: Factory

    async def member(self, role: Role = Role.AGENT, **values: Any) -> str:
        return global_id("Member", (await self.make.member(self.organization, role, **values)).id)

    async def queue(self, name: str = "Suporte", **values: Any) -> str:
        made = await self.admin.ask(CREATE, input={"departmentId": self.department_id, "name": name, **values})
        assert made["userErrors"] == []
        id_: str = made["queue"]["id"]
        return id_

    async def read(self, id_: str) -> Any:
        return await self.admin.ask(READ, id=id_)

    async def refused(self, document: str, **given: Any) -> list[tuple[str, list[str] | None]]:
        answer = await self.admin.ask(document, input=given)
        errors = answer.pop("userErrors")
        assert list(answer.values()) == [None]
        return [(error["code"], error["field"]) for error in errors]

    async def audited(self) -> list[tuple[str, dict[str, Any]]]:
        async with self.make.ports.database.session(self.organization.id) as session:
            entries = await session.execute(select(AuditEntry).order_by(col(AuditEntry.id)))
            return [(entry.action, entry.changes) for entry in entries.scalars()]


@pytest.fixture
async def desk(make: Factory, http: httpx.AsyncClient) -> Desk:
    organization = await make.organization()
    admin = Client(http, (await make.signed_in(await make.member(organization, Role.ORG_ADMIN))).token)
    department = await make.department(organization)
    return Desk(organization, admin, global_id("Department", department.id), make)


async def test_a_queue_has_the_contracts_defaults(desk: Desk) -> None:
    made = await desk.admin.ask(CREATE, input={"departmentId": desk.department_id, "name": " Pós-venda Sul "})
    assert made["userErrors"] == []
    id_ = made["queue"]["id"]
    expected = {
        "id": id_,
        "department": {"id": desk.department_id},
        "name": "Pós-venda Sul",
        "slug": "pos-venda-sul",
        "description": None,
        "color": "#2563EB",
        "icon": None,
        "isActive": True,
        "priority": 50,
        "routingStrategy": "ROUND_ROBIN",
        "autoAssign": True,
        "sla": {"firstResponseMinutes": None, "nextResponseMinutes": None, "resolutionMinutes": None},
        "openingHours": [],
        "requiredSkills": [],
        "relaxSkillsAfterSeconds": None,
        "order": "PRIORITY_FIRST",
        "maxSize": None,
        "overflowQueue": None,
        "reopenWithinHours": 72,
        "members": [],
    }
    assert made["queue"] == await desk.read(id_) == expected
    assert await desk.audited() == [("queue.created", {"name": {"from": None, "to": "Pós-venda Sul"}})]


async def test_every_setting_is_stored_and_changed(desk: Desk) -> None:
    overflow, ana = await desk.queue("Transbordo"), await desk.member()
    settings = {
        "slug": "suporte-1",
        "description": "Quem já comprou",
        "color": "#aabbcc",
        "icon": "phone",
        "priority": 90,
        "routingStrategy": "LOAD_BALANCE",
        "autoAssign": False,
        "sla": {"firstResponseMinutes": 5, "resolutionMinutes": 480},
        "openingHours": [{"weekday": "MONDAY", "opensAt": "08:00", "closesAt": "18:00"}],
        "requiredSkills": [],
        "relaxSkillsAfterSeconds": 30,
        "order": "DEADLINE_FIRST",
        "maxSize": 10,
        "overflowQueueId": overflow,
        "reopenWithinHours": 0,
        "memberIds": [ana, ana],
    }
    id_ = await desk.queue("Suporte", **settings)
    stored = await desk.read(id_)
    assert stored == {
        **{key: settings[key] for key in settings if key not in {"overflowQueueId", "memberIds"}},
        "id": id_,
        "name": "Suporte",
        "color": "#AABBCC",
        "isActive": True,
        "department": {"id": desk.department_id},
        "sla": {"firstResponseMinutes": 5, "nextResponseMinutes": None, "resolutionMinutes": 480},
        "overflowQueue": {"id": overflow},
        "members": [{"id": ana}],
    }
    changes: dict[str, Any] = {
        "isActive": False,
        "description": None,
        "sla": {"firstResponseMinutes": None, "nextResponseMinutes": 7},
        "openingHours": [],
        "overflowQueueId": None,
        "maxSize": None,
        "memberIds": [],
    }
    changed = await desk.admin.ask(UPDATE, input={"id": id_, **changes})
    expected = {
        **stored,
        "isActive": False,
        "description": None,
        "sla": {"firstResponseMinutes": None, "nextResponseMinutes": 7, "resolutionMinutes": 480},
        "openingHours": [],
        "overflowQueue": None,
        "maxSize": None,
        "members": [],
    }
    assert changed == {"queue": expected, "userErrors": []}
    assert await desk.read(id_) == expected


async def test_an_update_is_audited_with_what_changed_and_only_when_something_did(desk: Desk) -> None:
    ana = await desk.member()
    id_ = await desk.queue()
    await desk.admin.ask(UPDATE, input={"id": id_, "priority": 50, "memberIds": []})
    assert [action for action, _ in await desk.audited()] == ["queue.created"]
    await desk.admin.ask(UPDATE, input={"id": id_, "priority": 60, "memberIds": [ana]})
    action, changes = (await desk.audited())[-1]
    assert action == "queue.updated"
    assert changes["priority"] == {"from": 50, "to": 60}
    assert [id_.replace("-", "") for id_ in changes["member_ids"]["to"]] == [ana.removeprefix("Member_")]


async def test_all_that_is_wrong_is_said_at_once_and_nothing_is_made(desk: Desk) -> None:
    viewer, gone = await desk.member(Role.VIEWER), await desk.member(is_active=False)
    refused = await desk.refused(
        CREATE,
        departmentId=f"Department_{'0' * 32}",
        name=" ",
        slug="Não serve",
        color="blue",
        priority=101,
        sla={"firstResponseMinutes": 0, "nextResponseMinutes": 525_601},
        openingHours=[
            {"weekday": "MONDAY", "opensAt": "08:00", "closesAt": "18:00"},
            {"weekday": "MONDAY", "opensAt": "17:00", "closesAt": "19:00"},
        ],
        relaxSkillsAfterSeconds=0,
        maxSize=0,
        overflowQueueId=f"Queue_{'0' * 32}",
        reopenWithinHours=8761,
        memberIds=[viewer, gone, f"Member_{'0' * 32}"],
    )
    assert refused == [
        ("REQUIRED", ["name"]),
        ("INVALID", ["slug"]),
        ("INVALID", ["color"]),
        ("INVALID", ["priority"]),
        ("INVALID", ["sla", "firstResponseMinutes"]),
        ("INVALID", ["sla", "nextResponseMinutes"]),
        ("INVALID", ["openingHours", "1"]),
        ("INVALID", ["relaxSkillsAfterSeconds"]),
        ("INVALID", ["maxSize"]),
        ("INVALID", ["reopenWithinHours"]),
        ("NOT_FOUND", ["departmentId"]),
        ("NOT_FOUND", ["overflowQueueId"]),
        ("INVALID", ["memberIds", "0"]),
        ("INVALID", ["memberIds", "1"]),
        ("NOT_FOUND", ["memberIds", "2"]),
    ]
    assert await desk.admin.ask("{ queues { id } }") == []
    assert await desk.audited() == []


REQUIRED = (
    *("departmentId", "name", "slug", "priority", "isActive", "routingStrategy", "autoAssign", "sla"),
    *("openingHours", "requiredSkills", "order", "reopenWithinHours", "memberIds"),
)


@pytest.mark.parametrize("field", REQUIRED)
async def test_null_does_not_clear_what_a_queue_must_have(desk: Desk, field: str) -> None:
    id_ = await desk.queue()
    before = await desk.read(id_)
    assert await desk.refused(UPDATE, id=id_, maxSize=3, **{field: None}) == [("REQUIRED", [field])]
    assert await desk.read(id_) == before


async def test_names_and_slugs_are_taken_once(desk: Desk) -> None:
    first = await desk.queue("Suporte")
    assert await desk.refused(CREATE, departmentId=desk.department_id, name="Suporte", slug="suporte") == [
        ("TAKEN", ["name"]),
        ("TAKEN", ["slug"]),
    ]
    second = await desk.queue("SUPORTE")
    assert (await desk.read(second))["slug"] == "suporte-2"
    assert await desk.refused(UPDATE, id=second, name="Suporte") == [("TAKEN", ["name"])]
    assert [queue["id"] for queue in await desk.admin.ask("{ queues { id } }")] == [first, second]
    assert (await desk.read(await desk.queue("日本")))["slug"] == "queue"


async def test_d9_overflows_never_go_in_a_circle(desk: Desk) -> None:
    c = await desk.queue("C")
    b = await desk.queue("B", overflowQueueId=c)
    a = await desk.queue("A", overflowQueueId=b)
    for overflow in (a, b, c):
        assert await desk.refused(UPDATE, id=c, overflowQueueId=overflow) == [("INVALID", ["overflowQueueId"])]
    assert (await desk.read(c))["overflowQueue"] is None
    changed = await desk.admin.ask(UPDATE, input={"id": a, "overflowQueueId": c})
    assert changed["queue"]["overflowQueue"] == {"id": c}


async def test_deleting_a_queue_ends_the_overflow_into_it_and_says_so(desk: Desk) -> None:
    ana = await desk.member()
    goal = await desk.queue("Transbordo", memberIds=[ana])
    source = await desk.queue("Suporte", overflowQueueId=goal)
    assert await desk.admin.ask(DELETE, input={"id": goal}) == {"queue": {"id": goal}, "userErrors": []}
    assert (await desk.read(source))["overflowQueue"] is None
    assert await desk.read(goal) is None
    told = [(action, list(changes)) for action, changes in await desk.audited()]
    assert sorted(told[2:]) == [("queue.deleted", ["name"]), ("queue.updated", ["overflow_queue_id"])]


async def test_conversations_move_to_another_queue_that_is_there(desk: Desk) -> None:
    id_ = await desk.queue()
    nowhere = [("NOT_FOUND", ["moveToQueueId"])]
    assert await desk.refused(DELETE, id=id_, moveToQueueId=f"Queue_{'0' * 32}") == nowhere
    assert await desk.refused(DELETE, id=id_, moveToQueueId=desk.department_id) == nowhere
    assert await desk.refused(DELETE, id=id_, moveToQueueId=id_) == [("INVALID", ["moveToQueueId"])]
    assert (await desk.read(id_))["id"] == id_


async def test_a_department_with_queues_is_not_deleted(desk: Desk) -> None:
    id_ = await desk.queue()
    assert await desk.refused(DELETE_DEPARTMENT, id=desk.department_id) == [("WRONG_STATE", ["id"])]
    assert await desk.admin.ask("{ departments { id queues { id } } }") == [
        {"id": desk.department_id, "queues": [{"id": id_}]}
    ]
    await desk.admin.ask(DELETE, input={"id": id_})
    assert (await desk.admin.ask(DELETE_DEPARTMENT, input={"id": desk.department_id}))["userErrors"] == []


async def test_queues_of_a_department_of_a_member_and_all_are_listed_by_name(desk: Desk) -> None:
    other = global_id("Department", (await desk.make.department(desk.organization)).id)
    ana: Member = await desk.make.member(desk.organization)
    ana_id = global_id("Member", ana.id)
    b = await desk.queue("b", memberIds=[ana_id])
    a = await desk.queue("A", memberIds=[ana_id])
    c = (await desk.admin.ask(CREATE, input={"departmentId": other, "name": "C"}))["queue"]["id"]

    async def ids(department_id: str | None) -> list[str]:
        found = await desk.admin.ask("query ($id: ID) { queues(departmentId: $id) { id } }", id=department_id)
        return [queue["id"] for queue in found]

    assert await ids(None) == [a, b, c]
    assert await ids(other) == [c]
    assert await ids(a) == await ids("nonsense") == await ids(f"Department_{'0' * 32}") == []
    theirs = "query ($id: ID!) { node(id: $id) { ... on Member { queues { id } } } }"
    assert await desk.admin.ask(theirs, id=ana_id) == {"queues": [{"id": a}, {"id": b}]}


async def test_at_most_500_queues(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytake_gql.desk.queues.service.MOST", 2)
    await desk.queue("A")
    await desk.queue("B")
    assert await desk.refused(CREATE, departmentId=desk.department_id, name="C") == [("LIMIT_REACHED", None)]
    assert len(await desk.admin.ask("{ queues { id } }")) == 2


async def test_g1_another_organizations_ids_lead_nowhere(desk: Desk, make: Factory) -> None:
    stranger = await make.organization()
    theirs = await make.queue(stranger)
    queue, department = global_id("Queue", theirs.id), global_id("Department", theirs.department_id)
    member = global_id("Member", (await make.member(stranger)).id)
    own = await desk.queue()
    before = await desk.read(own)
    for document, given, path in (
        (UPDATE, {"id": queue, "name": "Minha"}, ["id"]),
        (DELETE, {"id": queue}, ["id"]),
        (DELETE, {"id": own, "moveToQueueId": queue}, ["moveToQueueId"]),
        (CREATE, {"departmentId": department, "name": "Minha"}, ["departmentId"]),
        (UPDATE, {"id": own, "departmentId": department}, ["departmentId"]),
        (UPDATE, {"id": own, "overflowQueueId": queue}, ["overflowQueueId"]),
        (UPDATE, {"id": own, "memberIds": [member]}, ["memberIds", "0"]),
    ):
        assert await desk.refused(document, **given) == [("NOT_FOUND", path)]
    assert await desk.read(queue) is None
    assert await desk.admin.ask("query ($id: ID!) { queues(departmentId: $id) { id } }", id=department) == []
    assert await desk.read(own) == before


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AGENT])
async def test_g2_only_admins_change_queues_and_all_read_them(desk: Desk, http: httpx.AsyncClient, role: Role) -> None:
    id_ = await desk.queue()
    member = await desk.make.member(desk.organization, role)
    client = Client(http, (await desk.make.signed_in(member)).token)
    assert await client.code(CREATE, input={"departmentId": desk.department_id, "name": "X"}) == "FORBIDDEN"
    assert await client.code(UPDATE, input={"id": id_, "name": "X"}) == "FORBIDDEN"
    assert await client.code(DELETE, input={"id": id_}) == "FORBIDDEN"
    assert await client.ask("{ queues { id name } }") == [{"id": id_, "name": "Suporte"}]


async def test_g2_nobody_reads_queues_without_a_token(anonymous: Client) -> None:
    assert await anonymous.code("{ queues { id } }") == "UNAUTHENTICATED"
