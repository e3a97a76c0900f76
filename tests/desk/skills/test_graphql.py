"""Skills through the door: as each role, and as strangers."""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from pytake_gql.desk.skills import service as skills
from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.ids import global_id, id_of
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.factories import Factory

CREATE = """mutation ($input: CreateSkillInput!) { createSkill(input: $input) {
    skill { id name } userErrors { code field } } }"""
UPDATE = """mutation ($input: UpdateSkillInput!) { updateSkill(input: $input) {
    skill { id name } userErrors { code field } } }"""
DELETE = """mutation ($input: DeleteSkillInput!) { deleteSkill(input: $input) {
    skill { id name } userErrors { code field } } }"""
GIVE = """mutation ($input: UpdateMemberInput!) { updateMember(input: $input) {
    member { name skills { skill { id } level } } userErrors { code field } } }"""
REQUIRE = """mutation ($input: UpdateQueueInput!) { updateQueue(input: $input) { userErrors { code } } }"""
LEVELS = "query ($id: ID!) { member(id: $id) { skills { skill { id name } level } } }"
ALL = "{ skills { id name } }"
UNKNOWN = f"Skill_{'0' * 32}"


@dataclass(frozen=True)
class School:
    """An organization in which the admin says who is good at what."""

    organization: Organization
    admin: Client
    make: Factory
    member_id: str

    async def skill(self, name: str) -> str:
        made = await self.admin.ask(CREATE, input={"name": name})
        assert made["userErrors"] == []
        id_: str = made["skill"]["id"]
        return id_

    async def give(self, *levels: tuple[str, int], **others: Any) -> Any:
        given = [{"skillId": id_, "level": level} for id_, level in levels]
        return await self.admin.ask(GIVE, input={"id": self.member_id, "skills": given, **others})

    async def levels(self) -> list[tuple[str, int]]:
        found = (await self.admin.ask(LEVELS, id=self.member_id))["skills"]
        return [(item["skill"]["id"], item["level"]) for item in found]

    async def audited(self) -> list[tuple[str, dict[str, Any]]]:
        async with self.make.ports.database.session(self.organization.id) as session:
            entries = await session.execute(select(AuditEntry).order_by(col(AuditEntry.id)))
            return [(entry.action, entry.changes) for entry in entries.scalars()]


@pytest.fixture
async def school(make: Factory, http: httpx.AsyncClient) -> School:
    organization = await make.organization()
    admin = Client(http, (await make.signed_in(await make.member(organization, Role.ORG_ADMIN))).token)
    member = await make.member(organization, name="Ana")
    return School(organization, admin, make, global_id("Member", member.id))


def errors(answer: dict[str, Any]) -> list[tuple[str, list[str] | None]]:
    """Those of a refusal: the other field of the payload is null."""
    told = answer.pop("userErrors")
    assert list(answer.values()) == [None]
    return [(error["code"], error["field"]) for error in told]


def stored(*levels: tuple[str, int]) -> list[dict[str, Any]]:
    """As the audit log has them."""
    return [{"skill_id": str(id_of(id_)), "level": level} for id_, level in sorted(levels)]


async def test_a_skill_is_made_read_renamed_and_deleted(school: School) -> None:
    made = await school.admin.ask(CREATE, input={"name": " Inglês "})
    id_ = made["skill"]["id"]
    assert made == {"skill": {"id": id_, "name": "Inglês"}, "userErrors": []}
    node = "query ($id: ID!) { node(id: $id) { __typename ... on Skill { id name } } }"
    assert await school.admin.ask(node, id=id_) == {"__typename": "Skill", "id": id_, "name": "Inglês"}
    assert (await school.admin.ask(UPDATE, input={"id": id_}))["skill"] == {"id": id_, "name": "Inglês"}
    assert await school.admin.ask(UPDATE, input={"id": id_, "name": "English"}) == {
        "skill": {"id": id_, "name": "English"},
        "userErrors": [],
    }
    assert (await school.admin.ask(DELETE, input={"id": id_}))["skill"] == {"id": id_, "name": "English"}
    assert await school.admin.ask(ALL) == []
    assert await school.admin.ask(node, id=id_) is None
    assert await school.audited() == [
        ("skill.created", {"name": {"from": None, "to": "Inglês"}}),
        ("skill.updated", {"name": {"from": "Inglês", "to": "English"}}),
        ("skill.deleted", {"name": {"from": "English", "to": None}}),
    ]


async def test_skills_are_listed_in_alphabetical_order(school: School) -> None:
    for name in ("vendas", "Boletos", "inglês"):
        await school.skill(name)
    assert [skill["name"] for skill in await school.admin.ask(ALL)] == ["Boletos", "inglês", "vendas"]


@pytest.mark.parametrize(
    ("name", "code"), [("  ", "REQUIRED"), ("x" * 121, "TOO_LONG"), ("a\nb", "INVALID"), ("Taken", "TAKEN")]
)
async def test_names_are_texts_of_one_line_and_taken_once(school: School, name: str, code: str) -> None:
    await school.skill("Taken")
    id_ = await school.skill("Other")
    before = await school.admin.ask(ALL), await school.audited()
    assert errors(await school.admin.ask(CREATE, input={"name": name})) == [(code, ["name"])]
    assert errors(await school.admin.ask(UPDATE, input={"id": id_, "name": name})) == [(code, ["name"])]
    assert errors(await school.admin.ask(UPDATE, input={"id": id_, "name": None})) == [("REQUIRED", ["name"])]
    assert (await school.admin.ask(ALL), await school.audited()) == before
    assert (await school.admin.ask(UPDATE, input={"id": id_, "name": "Other"}))["userErrors"] == []


async def test_a_name_that_many_take_at_once_is_taken_once(school: School) -> None:
    made = await asyncio.gather(*(school.admin.ask(CREATE, input={"name": "Inglês"}) for _ in range(5)))
    assert sorted(len(answer["userErrors"]) for answer in made) == [0, 1, 1, 1, 1]
    assert [skill["name"] for skill in await school.admin.ask(ALL)] == ["Inglês"]


async def test_at_most_500_skills(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytake_gql.desk.skills.service.MOST", 1)
    await school.skill("A")
    assert errors(await school.admin.ask(CREATE, input={"name": "B"})) == [("LIMIT_REACHED", None)]
    assert [skill["name"] for skill in await school.admin.ask(ALL)] == ["A"]


async def test_a_members_skills_are_set_as_a_whole(school: School) -> None:
    english, billing, sales = [await school.skill(name) for name in ("Inglês", "Boletos", "vendas")]
    assert await school.levels() == []
    answer = await school.give((sales, 1), (english, 5), name="Bia")
    assert answer == {
        "member": {
            "name": "Bia",
            "skills": [{"skill": {"id": english}, "level": 5}, {"skill": {"id": sales}, "level": 1}],
        },
        "userErrors": [],
    }
    await school.give((sales, 4), (billing, 2))
    assert await school.levels() == [(billing, 2), (sales, 4)]
    await school.give()
    assert await school.levels() == []
    told = [changes for action, changes in await school.audited() if action == "member.skills_changed"]
    assert told == [
        {"skills": {"from": [], "to": stored((english, 5), (sales, 1))}},
        {"skills": {"from": stored((english, 5), (sales, 1)), "to": stored((billing, 2), (sales, 4))}},
        {"skills": {"from": stored((billing, 2), (sales, 4)), "to": []}},
    ]


async def test_a_level_is_3_where_none_is_said(school: School) -> None:
    english = await school.skill("Inglês")
    await school.admin.ask(GIVE, input={"id": school.member_id, "skills": [{"skillId": english}]})
    assert await school.levels() == [(english, 3)]


async def test_what_changes_nothing_is_not_audited_and_what_is_absent_stays(school: School) -> None:
    english = await school.skill("Inglês")
    await school.give((english, 5))
    before = await school.audited()
    await school.give((english, 5))
    await school.admin.ask(GIVE, input={"id": school.member_id})
    assert await school.audited() == before
    assert await school.levels() == [(english, 5)]


async def test_all_that_is_wrong_with_levels_is_said_at_once_and_nothing_changes(school: School, make: Factory) -> None:
    english, billing = await school.skill("Inglês"), await school.skill("Boletos")
    theirs = global_id("Skill", (await make.skill(await make.organization())).id)
    await school.give((english, 5))
    before = await school.audited()
    wrong = ((english, 0), (billing, 6), (theirs, 3), (english, 2), (UNKNOWN, -1))
    assert errors(await school.give(*wrong, name="Bia")) == [
        ("INVALID", ["skills", "0", "level"]),
        ("INVALID", ["skills", "1", "level"]),
        ("NOT_FOUND", ["skills", "2", "skillId"]),
        ("INVALID", ["skills", "3", "skillId"]),
        ("NOT_FOUND", ["skills", "4", "skillId"]),
        ("INVALID", ["skills", "4", "level"]),
    ]
    assert errors(await school.give((english, 1), ("nonsense", 1))) == [("NOT_FOUND", ["skills", "1", "skillId"])]
    assert errors(await school.give((school.member_id, 1))) == [("NOT_FOUND", ["skills", "0", "skillId"])]
    nothing = {"id": school.member_id, "skills": None, "name": "Bia"}
    assert errors(await school.admin.ask(GIVE, input=nothing)) == [("REQUIRED", ["skills"])]
    assert await school.levels() == [(english, 5)]
    assert await school.audited() == before
    assert (await school.admin.ask("query ($id: ID!) { member(id: $id) { name } }", id=school.member_id)) == {
        "name": "Ana"
    }


async def test_at_most_500_skills_a_member(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    english, billing = await school.skill("Inglês"), await school.skill("Boletos")
    monkeypatch.setattr("pytake_gql.desk.skills.service.MOST", 1)
    assert errors(await school.give((english, 1), (billing, 1))) == [("TOO_MANY", ["skills"])]
    assert await school.levels() == []


async def test_deleting_a_skill_takes_the_members_levels_with_it(school: School) -> None:
    english, billing = await school.skill("Inglês"), await school.skill("Boletos")
    await school.give((english, 5), (billing, 2))
    assert (await school.admin.ask(DELETE, input={"id": english}))["userErrors"] == []
    assert await school.levels() == [(billing, 2)]


async def test_a_skill_that_a_queue_asks_for_is_not_deleted(school: School, make: Factory) -> None:
    english = await school.skill("Inglês")
    await school.give((english, 5))
    queue = global_id("Queue", (await make.queue(school.organization)).id)
    for is_mandatory in (True, False):
        required = [{"skillId": english, "minLevel": 2, "isMandatory": is_mandatory}]
        await school.admin.ask(REQUIRE, input={"id": queue, "requiredSkills": required})
        before = await school.audited()
        assert errors(await school.admin.ask(DELETE, input={"id": english})) == [("WRONG_STATE", ["id"])]
        assert await school.levels() == [(english, 5)]
        assert await school.audited() == before
    await school.admin.ask(REQUIRE, input={"id": queue, "requiredSkills": []})
    assert (await school.admin.ask(DELETE, input={"id": english}))["userErrors"] == []
    assert await school.levels() == []


async def test_deleting_and_requiring_a_skill_at_once_leaves_no_queue_with_a_skill_that_is_gone(
    school: School, make: Factory
) -> None:
    for _ in range(5):
        english = await school.skill("Inglês")
        queue = global_id("Queue", (await make.queue(school.organization)).id)
        required = {"id": queue, "requiredSkills": [{"skillId": english}]}
        answers = await asyncio.gather(
            school.admin.ask(DELETE, input={"id": english}), school.admin.ask(REQUIRE, input=required)
        )
        assert sorted(len(answer["userErrors"]) for answer in answers) == [0, 1]
        await school.admin.ask(REQUIRE, input={"id": queue, "requiredSkills": []})
        await school.admin.ask(DELETE, input={"id": english})


async def test_levels_are_told_to_routing_for_everybody_asked(school: School, make: Factory) -> None:
    english, billing = await make.skill(school.organization), await make.skill(school.organization)
    ana, bia, caio = [await make.member(school.organization) for _ in range(3)]
    await make.masters(ana, english, 5)
    await make.masters(ana, billing, 1)
    await make.masters(caio, billing, 2)
    async with make.ports.database.session(school.organization.id) as session:
        assert await skills.levels_of(session, [ana.id, bia.id]) == {
            ana.id: {english.id: 5, billing.id: 1},
            bia.id: {},
        }


async def test_g1_another_organizations_skills_are_not_there(school: School, make: Factory) -> None:
    theirs = global_id("Skill", (await make.skill(await make.organization(), name="Inglês")).id)
    for id_ in (theirs, UNKNOWN, school.member_id, "x"):
        for document, given in ((UPDATE, {"id": id_, "name": "Minha"}), (DELETE, {"id": id_})):
            assert errors(await school.admin.ask(document, input=given)) == [("NOT_FOUND", ["id"])]
    assert await school.admin.ask("query ($id: ID!) { node(id: $id) { id } }", id=theirs) is None
    assert await school.admin.ask(ALL) == []
    await school.skill("Inglês")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AGENT])
async def test_g2_only_admins_change_skills_and_all_read_them(
    school: School, http: httpx.AsyncClient, role: Role
) -> None:
    id_ = await school.skill("Inglês")
    await school.give((id_, 4))
    member = await school.make.member(school.organization, role)
    client = Client(http, (await school.make.signed_in(member)).token)
    assert await client.code(CREATE, input={"name": "X"}) == "FORBIDDEN"
    assert await client.code(UPDATE, input={"id": id_, "name": "X"}) == "FORBIDDEN"
    assert await client.code(DELETE, input={"id": id_}) == "FORBIDDEN"
    assert await client.code(GIVE, input={"id": school.member_id, "skills": []}) == "FORBIDDEN"
    assert await client.ask(ALL) == [{"id": id_, "name": "Inglês"}]
    assert await client.ask(LEVELS, id=school.member_id) == {
        "skills": [{"skill": {"id": id_, "name": "Inglês"}, "level": 4}]
    }


async def test_g2_nobody_reads_skills_without_a_token(anonymous: Client) -> None:
    assert await anonymous.code(ALL) == "UNAUTHENTICATED"
    assert await anonymous.code(CREATE, input={"name": "X"}) == "UNAUTHENTICATED"
