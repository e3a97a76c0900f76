"""Which skills a queue asks for, through the door and as routing reads them."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlmodel import col, select

from pytake_gql.desk.queues import service as queues
from pytake_gql.desk.queues.requirements import Requirement
from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.ids import global_id, id_of
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.factories import Factory

FIELDS = "id requiredSkills { skill { id } minLevel isMandatory }"
CREATE = f"""mutation ($input: CreateQueueInput!) {{ createQueue(input: $input) {{
    queue {{ {FIELDS} }} userErrors {{ code field }} }} }}"""
UPDATE = f"""mutation ($input: UpdateQueueInput!) {{ updateQueue(input: $input) {{
    queue {{ {FIELDS} }} userErrors {{ code field }} }} }}"""
READ = f"query ($id: ID!) {{ queue(id: $id) {{ {FIELDS} }} }}"
DELETE = "mutation ($id: ID!) { deleteQueue(input: {id: $id}) { userErrors { code } } }"
UNKNOWN = f"Skill_{'0' * 32}"


@dataclass(frozen=True)
class Desk:
    organization: Organization
    admin: Client
    make: Factory
    department_id: str
    skills: dict[str, str]
    """Global ids by name."""

    def required(self, *given: tuple[str, int, bool]) -> list[dict[str, Any]]:
        """As clients say it; a name that is none of the skills' is taken for an id."""
        return [
            {"skillId": self.skills.get(name, name), "minLevel": level, "isMandatory": is_mandatory}
            for name, level, is_mandatory in given
        ]

    async def create(self, *given: tuple[str, int, bool], name: str = "Suporte") -> Any:
        """The payload."""
        about = {"departmentId": self.department_id, "name": name}
        return await self.admin.ask(CREATE, input=about | {"requiredSkills": self.required(*given)})

    async def queue(self, *given: tuple[str, int, bool], name: str = "Suporte") -> str:
        id_: str = (await self.create(*given, name=name))["queue"]["id"]
        return id_

    async def read(self, id_: str) -> list[tuple[str, int, bool]]:
        return self.told((await self.admin.ask(READ, id=id_))["requiredSkills"])

    def told(self, required: list[dict[str, Any]]) -> list[tuple[str, int, bool]]:
        names = {id_: name for name, id_ in self.skills.items()}
        return [(names[item["skill"]["id"]], item["minLevel"], item["isMandatory"]) for item in required]

    def stored(self, *given: tuple[str, int, bool]) -> list[dict[str, Any]]:
        """As the audit log has it."""
        return [
            {"skill_id": str(id_of(self.skills[name])), "min_level": level, "is_mandatory": is_mandatory}
            for name, level, is_mandatory in sorted(given, key=lambda item: self.skills[item[0]])
        ]

    async def audited(self) -> list[tuple[str, dict[str, Any]]]:
        async with self.make.ports.database.session(self.organization.id) as session:
            entries = await session.execute(select(AuditEntry).order_by(col(AuditEntry.id)))
            return [(entry.action, entry.changes) for entry in entries.scalars()]


@pytest.fixture
async def desk(make: Factory, http: httpx.AsyncClient) -> Desk:
    organization = await make.organization()
    admin = Client(http, (await make.signed_in(await make.member(organization, Role.ORG_ADMIN))).token)
    names = ("Boletos", "inglês", "Vendas")
    skills = {name: global_id("Skill", (await make.skill(organization, name=name)).id) for name in names}
    department = await make.department(organization)
    return Desk(organization, admin, make, global_id("Department", department.id), skills)


async def test_a_queue_asks_for_skills_mandatory_ones_first(desk: Desk) -> None:
    given = ("Vendas", 5, False), ("inglês", 1, True), ("Boletos", 2, True)
    made = await desk.create(*given)
    assert made["userErrors"] == []
    in_order = [("Boletos", 2, True), ("inglês", 1, True), ("Vendas", 5, False)]
    assert desk.told(made["queue"]["requiredSkills"]) == await desk.read(made["queue"]["id"]) == in_order
    name = {"name": {"from": None, "to": "Suporte"}}
    changes = name | {"required_skills": {"from": [], "to": desk.stored(*given)}}
    assert await desk.audited() == [("queue.created", changes)]


async def test_level_1_and_mandatory_are_the_defaults(desk: Desk) -> None:
    given = {"departmentId": desk.department_id, "name": "X", "requiredSkills": [{"skillId": desk.skills["Vendas"]}]}
    made = await desk.admin.ask(CREATE, input=given)
    assert desk.told(made["queue"]["requiredSkills"]) == [("Vendas", 1, True)]


async def test_requirements_are_set_as_a_whole_and_only_what_changes_is_told(desk: Desk) -> None:
    before = ("Boletos", 2, True), ("inglês", 3, False)
    id_ = await desk.queue(*before)
    after = ("inglês", 4, True), ("Vendas", 1, False)
    for _ in range(2):
        changed = await desk.admin.ask(UPDATE, input={"id": id_, "requiredSkills": desk.required(*after)})
        assert desk.told(changed["queue"]["requiredSkills"]) == list(after)
    await desk.admin.ask(UPDATE, input={"id": id_, "priority": 50})
    assert await desk.read(id_) == list(after)
    await desk.admin.ask(UPDATE, input={"id": id_, "requiredSkills": []})
    assert await desk.read(id_) == []
    assert (await desk.audited())[1:] == [
        ("queue.updated", {"required_skills": {"from": desk.stored(*before), "to": desk.stored(*after)}}),
        ("queue.updated", {"required_skills": {"from": desk.stored(*after), "to": []}}),
    ]


async def test_all_that_is_wrong_is_said_at_once_and_nothing_changes(desk: Desk) -> None:
    id_ = await desk.queue(("Boletos", 2, True))
    theirs = global_id("Skill", (await desk.make.skill(await desk.make.organization())).id)
    wrong = desk.required(
        ("Boletos", 0, True), ("inglês", 6, False), (theirs, 1, True), ("Boletos", 3, False), (UNKNOWN, 9, True)
    )
    expected = [
        ("INVALID", ["requiredSkills", "0", "minLevel"]),
        ("INVALID", ["requiredSkills", "1", "minLevel"]),
        ("NOT_FOUND", ["requiredSkills", "2", "skillId"]),
        ("INVALID", ["requiredSkills", "3", "skillId"]),
        ("NOT_FOUND", ["requiredSkills", "4", "skillId"]),
        ("INVALID", ["requiredSkills", "4", "minLevel"]),
    ]
    before = await desk.audited()
    for document, about in (
        (UPDATE, {"id": id_, "priority": 101}),
        (CREATE, {"departmentId": desk.department_id, "name": "Outra", "priority": 101}),
    ):
        refused = await desk.admin.ask(document, input=about | {"requiredSkills": wrong})
        assert refused["queue"] is None
        told = [(error["code"], error["field"]) for error in refused["userErrors"]]
        assert told == [("INVALID", ["priority"]), *expected]
    assert await desk.read(id_) == [("Boletos", 2, True)]
    assert [queue["id"] for queue in await desk.admin.ask("{ queues { id } }")] == [id_]
    assert await desk.audited() == before


@pytest.mark.parametrize("id_", ["x", f"Queue_{'0' * 32}"])
async def test_an_id_of_no_skill_leads_nowhere(desk: Desk, id_: str) -> None:
    refused = await desk.create(("Vendas", 1, True), (id_, 1, True))
    assert refused == {
        "queue": None,
        "userErrors": [{"code": "NOT_FOUND", "field": ["requiredSkills", "1", "skillId"]}],
    }
    assert await desk.admin.ask("{ queues { id } }") == []


async def test_at_most_20_skills_a_queue(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytake_gql.desk.queues.requirements.MOST", 2)
    refused = await desk.create(("Vendas", 1, True), ("Boletos", 1, True), ("inglês", 1, True))
    assert refused == {"queue": None, "userErrors": [{"code": "TOO_MANY", "field": ["requiredSkills"]}]}
    assert await desk.admin.ask("{ queues { id } }") == []
    assert len(await desk.read(await desk.queue(("Vendas", 1, True), ("Boletos", 1, True)))) == 2


async def test_deleting_a_queue_frees_its_skills(desk: Desk) -> None:
    id_ = await desk.queue(("Vendas", 1, True))
    assert (await desk.admin.ask(DELETE, id=id_))["userErrors"] == []
    gone = "mutation ($id: ID!) { deleteSkill(input: {id: $id}) { userErrors { code } } }"
    assert (await desk.admin.ask(gone, id=desk.skills["Vendas"]))["userErrors"] == []


async def test_requirements_are_told_to_routing_for_every_queue_asked(desk: Desk) -> None:
    support = await desk.queue(("inglês", 2, False), ("Vendas", 4, True))
    sales, others = await desk.queue(name="Vendas"), await desk.queue(("Vendas", 1, True), name="Outra")

    def requirement(name: str, level: int, *, mandatory: bool) -> Requirement:
        return Requirement(id_of(desk.skills[name]), name, level, mandatory)

    async with desk.make.ports.database.session(desk.organization.id) as session:
        found: dict[UUID, list[Requirement]] = await queues.requirements_of(session, [id_of(support), id_of(sales)])
    assert found == {
        id_of(support): [requirement("Vendas", 4, mandatory=True), requirement("inglês", 2, mandatory=False)],
        id_of(sales): [],
    }
    assert others not in found


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AGENT])
async def test_g2_only_admins_change_requirements_and_all_read_them(
    desk: Desk, http: httpx.AsyncClient, role: Role
) -> None:
    id_ = await desk.queue(("Vendas", 4, True))
    client = Client(http, (await desk.make.signed_in(await desk.make.member(desk.organization, role))).token)
    assert await client.code(UPDATE, input={"id": id_, "requiredSkills": []}) == "FORBIDDEN"
    assert desk.told((await client.ask(READ, id=id_))["requiredSkills"]) == [("Vendas", 4, True)]


async def test_g1_a_stranger_reads_no_requirements(desk: Desk, http: httpx.AsyncClient) -> None:
    id_ = await desk.queue(("Vendas", 4, True))
    stranger = await desk.make.member(await desk.make.organization(), Role.ORG_ADMIN)
    client = Client(http, (await desk.make.signed_in(stranger)).token)
    assert await client.ask(READ, id=id_) is None
    refused = await client.ask(UPDATE, input={"id": id_, "requiredSkills": []})
    assert refused == {"queue": None, "userErrors": [{"code": "NOT_FOUND", "field": ["id"]}]}
    assert await desk.read(id_) == [("Vendas", 4, True)]
