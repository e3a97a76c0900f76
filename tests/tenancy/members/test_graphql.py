"""Members through the door: as each role, and as strangers."""

import asyncio
from typing import Any

import pytest

from pytake_gql.kernel.principal import ConversationScope, Role
from pytake_gql.tenancy.members.models import Availability
from tests.client import Client
from tests.tenancy.members.conftest import House, Person, visit, within_a_moment

ALL = """id email name avatarUrl role isActive availability conversationScope lastSeenAt capacity load"""
ME = f"{{ me {{ {ALL} }} }}"
MEMBER = "query ($id: ID!) { member(id: $id) { id name } }"
LIST = """query ($search: String, $role: [Role!], $availability: [Availability!], $first: Int, $after: String) {
    members(search: $search, role: $role, availability: $availability, first: $first, after: $after) {
    nodes { name } totalCount pageInfo { endCursor hasNextPage } } }"""
UPDATE = f"""mutation ($input: UpdateMemberInput!) {{ updateMember(input: $input) {{
    member {{ {ALL} }} userErrors {{ code field }} }} }}"""
REMOVE = """mutation ($input: RemoveMemberInput!) { removeMember(input: $input) {
    member { id } userErrors { code field } } }"""
PROFILE = """mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) {
    member { id name avatarUrl } userErrors { code field } } }"""
AVAILABILITY = """mutation ($input: SetAvailabilityInput!) { setAvailability(input: $input) {
    member { id availability } userErrors { code field } } }"""


def refused(code: str, *field: str) -> dict[str, Any]:
    return {"member": None, "userErrors": [{"code": code, "field": list(field)}]}


@pytest.mark.parametrize("role", list(Role))
async def test_each_role_reads_itself_and_its_colleagues(house: House, role: Role) -> None:
    person = await house.person(role, name="Bia")
    colleague = await house.person(name="Caio")
    scope = "QUEUES" if role is Role.AGENT else "ORGANIZATION"
    assert await person.client.ask(ME) == {
        "id": person.id,
        "email": person.member.email,
        "name": "Bia",
        "avatarUrl": None,
        "role": role.value,
        "isActive": True,
        "availability": "OFFLINE",
        "conversationScope": scope,
        "lastSeenAt": None,
        "capacity": 5,
        "load": 0,
    }
    assert await person.client.ask(MEMBER, id=colleague.id) == {"id": colleague.id, "name": "Caio"}
    assert await person.client.ask("query ($id: ID!) { node(id: $id) { id } }", id=colleague.id) == {"id": colleague.id}


async def test_g1_strangers_and_the_removed_are_not_there(house: House, elsewhere: House, admin: Person) -> None:
    stranger = await elsewhere.person(name="Zé")
    gone = await house.person(removed_at=house.ports.clock.now())
    for id_ in (stranger.id, gone.id, f"Member_{'0' * 32}", f"Queue_{'0' * 32}", "x"):
        assert await admin.client.ask(MEMBER, id=id_) is None
        assert await admin.client.ask("query ($id: ID!) { node(id: $id) { id } }", id=id_) is None
        assert await admin.client.ask(UPDATE, input={"id": id_, "name": "X"}) == refused("NOT_FOUND", "id")
        assert await admin.client.ask(REMOVE, input={"id": id_}) == refused("NOT_FOUND", "id")
    assert (await elsewhere.stored(stranger.member)).name == "Zé"
    assert (await elsewhere.stored(stranger.member)).removed_at is None


async def test_members_are_found_by_all_that_is_given(house: House, elsewhere: House) -> None:
    client = (await house.person(Role.VIEWER, name="Vera", email=f"vera-{house.organization.id}@example.com")).client
    await house.person(Role.AGENT, name="ana 100%", availability=Availability.ONLINE)
    await house.person(Role.AGENT, name="Bia", availability=Availability.AWAY)
    await house.person(Role.ORG_ADMIN, name="Caio", availability=Availability.ONLINE)
    await house.person(Role.AGENT, name="Gone", removed_at=house.ports.clock.now())
    await elsewhere.person(Role.AGENT, name="Ana Elsewhere", availability=Availability.ONLINE)

    async def names(**given: Any) -> list[str]:
        answer = await client.ask(LIST, first=10, **given)
        found = [node["name"] for node in answer["nodes"]]
        assert answer["totalCount"] == len(found)
        return found

    assert await names() == ["ana 100%", "Bia", "Caio", "Vera"]
    assert await names(search="AIO") == ["Caio"]
    assert await names(search="0%") == ["ana 100%"]
    assert await names(search=f"VERA-{house.organization.id}") == ["Vera"]
    assert await names(role=["AGENT"]) == ["ana 100%", "Bia"]
    assert await names(role=["AGENT", "VIEWER"], search="bia") == ["Bia"]
    assert await names(availability=["ONLINE"]) == ["ana 100%", "Caio"]
    assert await names(availability=["ONLINE"], role=["ORG_ADMIN"]) == ["Caio"]
    assert await names(search="Elsewhere") == []


async def test_members_come_in_pages(house: House) -> None:
    client = (await house.person(name="A")).client
    for name in "CBED":
        await house.person(name=name)
    found, after = [], None
    for _ in range(3):
        page = await client.ask(LIST, first=2, after=after)
        found += [node["name"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
    assert found == ["A", "B", "C", "D", "E"]
    assert page["pageInfo"]["hasNextPage"] is False


async def test_every_field_is_changed_and_told(house: House, admin: Person) -> None:
    person = await house.person(Role.AGENT, name="Bia", availability=Availability.ONLINE, last_seen_at=None)
    changed = await admin.client.ask(
        UPDATE,
        input={
            "id": person.id,
            "name": " Bia Lima ",
            "role": "VIEWER",
            "isActive": False,
            "conversationScope": "OWN",
            "capacity": 0,
        },
    )
    assert changed["userErrors"] == []
    assert changed["member"] == {
        "id": person.id,
        "email": person.member.email,
        "name": "Bia Lima",
        "avatarUrl": None,
        "role": "VIEWER",
        "isActive": False,
        "availability": "OFFLINE",
        "conversationScope": "OWN",
        "lastSeenAt": None,
        "capacity": 0,
        "load": 0,
    }
    row = await house.stored(person.member)
    assert (row.name, row.role, row.is_active, row.conversation_scope, row.capacity, row.availability) == (
        "Bia Lima", Role.VIEWER, False, ConversationScope.OWN, 0, Availability.OFFLINE,
    )  # fmt: skip
    updated, deactivated = await house.audit()
    assert (updated.action, updated.entity_id, updated.actor_id) == (
        "member.updated", person.member.id, admin.member.id,
    )  # fmt: skip
    assert updated.changes["role"] == {"from": "AGENT", "to": "VIEWER"}
    assert (deactivated.action, deactivated.entity_id) == ("member.deactivated", person.member.id)


async def test_g11_an_inactive_member_is_out_at_once_and_comes_back(house: House, admin: Person) -> None:
    person = await house.person()
    assert (await person.client.ask(ME))["id"] == person.id
    await admin.client.ask(UPDATE, input={"id": person.id, "isActive": False})
    await within_a_moment(person.client, ME, "UNAUTHENTICATED")
    await admin.client.ask(UPDATE, input={"id": person.id, "isActive": True})
    anew = Client(house.http, (await house.make.signed_in(person.member)).token)
    assert (await anew.ask(ME))["availability"] == "OFFLINE"


async def test_a_role_that_changes_serves_at_once(house: House, admin: Person) -> None:
    person = await house.person(Role.AGENT)
    assert await person.client.code("{ invitations { id } }") == "FORBIDDEN"
    await admin.client.ask(UPDATE, input={"id": person.id, "role": "ORG_ADMIN"})
    await within_a_moment(person.client, "{ invitations { id } }", None)


async def test_all_that_is_wrong_is_said_at_once_and_nothing_changes(house: House, admin: Person) -> None:
    person = await house.person(name="Bia")
    given = {"name": " ", "role": None, "isActive": None, "conversationScope": None, "capacity": 101}
    answer = await admin.client.ask(UPDATE, input={"id": person.id, **given})
    assert answer == {
        "member": None,
        "userErrors": [
            {"code": "REQUIRED", "field": ["name"]},
            {"code": "REQUIRED", "field": ["role"]},
            {"code": "REQUIRED", "field": ["isActive"]},
            {"code": "REQUIRED", "field": ["conversationScope"]},
            {"code": "INVALID", "field": ["capacity"]},
        ],
    }
    for capacity, code in ((-1, "INVALID"), (None, "REQUIRED")):
        answer = await admin.client.ask(UPDATE, input={"id": person.id, "name": "X", "capacity": capacity})
        assert answer == refused(code, "capacity")
    assert (await house.stored(person.member)).name == "Bia"
    assert await house.actions() == []


async def test_queues_are_the_whole_list(house: House, admin: Person) -> None:
    first, second = [await house.make.queue(house.organization) for _ in range(2)]
    person = await house.person()
    update = """mutation ($input: UpdateMemberInput!) { updateMember(input: $input) {
        member { queues { id } } userErrors { code field } } }"""
    ids = [f"Queue_{queue.id.hex}" for queue in (first, second)]
    changed = await admin.client.ask(update, input={"id": person.id, "queueIds": [*ids, ids[0]]})
    assert sorted(queue["id"] for queue in changed["member"]["queues"]) == sorted(ids)
    unknown = await admin.client.ask(
        update, input={"id": person.id, "name": "X", "queueIds": [ids[0], f"Queue_{'0' * 32}"]}
    )
    assert unknown == {"member": None, "userErrors": [{"code": "NOT_FOUND", "field": ["queueIds", "1"]}]}
    assert (await house.stored(person.member)).name == person.member.name
    changed = await admin.client.ask(update, input={"id": person.id, "queueIds": []})
    assert changed == {"member": {"queues": []}, "userErrors": []}


async def test_nobody_changes_the_own_rights(house: House, admin: Person) -> None:
    await house.person(Role.ORG_ADMIN)
    answer = await admin.client.ask(UPDATE, input={"id": admin.id, "role": "AGENT", "isActive": False})
    assert answer == {
        "member": None,
        "userErrors": [
            {"code": "WRONG_STATE", "field": ["role"]},
            {"code": "WRONG_STATE", "field": ["isActive"]},
        ],
    }
    assert await admin.client.ask(REMOVE, input={"id": admin.id}) == refused("WRONG_STATE", "id")
    assert (await house.stored(admin.member)).role is Role.ORG_ADMIN
    assert (await house.stored(admin.member)).removed_at is None
    same = await admin.client.ask(UPDATE, input={"id": admin.id, "role": "ORG_ADMIN", "capacity": 7})
    assert (same["member"]["capacity"], same["userErrors"]) == (7, [])


async def test_the_last_active_admin_stays(house: House, elsewhere: House, admin: Person) -> None:
    """A super admin from outside could take the last one out."""
    await house.person(Role.ORG_ADMIN, is_active=False)
    await house.person(Role.ORG_ADMIN, removed_at=house.ports.clock.now())
    await house.person(Role.AGENT)
    root = await visit(await elsewhere.person(Role.SUPER_ADMIN), house.organization.id)
    for change in ({"role": "AGENT"}, {"isActive": False}):
        assert await root.ask(UPDATE, input={"id": admin.id, **change}) == refused("WRONG_STATE", "id")
    assert await root.ask(REMOVE, input={"id": admin.id}) == refused("WRONG_STATE", "id")
    row = await house.stored(admin.member)
    assert (row.role, row.is_active, row.removed_at) == (Role.ORG_ADMIN, True, None)
    await house.person(Role.ORG_ADMIN)
    assert (await root.ask(REMOVE, input={"id": admin.id}))["userErrors"] == []


async def test_two_admins_who_demote_each_other_leave_one(house: House) -> None:
    for _ in range(5):
        one, two = await house.person(Role.ORG_ADMIN), await house.person(Role.ORG_ADMIN)
        answers = await asyncio.gather(
            one.client.post(UPDATE, input={"id": two.id, "role": "AGENT"}),
            two.client.post(UPDATE, input={"id": one.id, "role": "AGENT"}),
        )
        done = [answer for answer in answers if "errors" not in answer and answer["data"]["updateMember"]["member"]]
        assert len(done) == 1, answers
        rows = [await house.stored(person.member) for person in (one, two)]
        assert sorted(row.role for row in rows) == [Role.AGENT, Role.ORG_ADMIN]
        async with house.ports.units.of_system(house.organization.id) as uow:
            for row in rows:
                (await uow.session.get_one(type(row), (row.organization_id, row.id))).role = Role.VIEWER


async def test_super_admin_is_given_and_touched_by_super_admins_only(house: House, admin: Person) -> None:
    agent, root = await house.person(Role.AGENT), await house.person(Role.SUPER_ADMIN, name="Raiz")
    assert await admin.client.ask(UPDATE, input={"id": agent.id, "role": "SUPER_ADMIN"}) == refused("FORBIDDEN", "role")
    for change in ({"name": "X"}, {"isActive": False}):
        assert await admin.client.ask(UPDATE, input={"id": root.id, **change}) == refused("FORBIDDEN", "id")
    assert await admin.client.ask(REMOVE, input={"id": root.id}) == refused("FORBIDDEN", "id")
    assert (await house.stored(agent.member)).role is Role.AGENT
    row = await house.stored(root.member)
    assert (row.name, row.is_active, row.removed_at) == ("Raiz", True, None)
    given = await root.client.ask(UPDATE, input={"id": agent.id, "role": "SUPER_ADMIN"})
    assert given["member"]["role"] == "SUPER_ADMIN"


async def test_a_removed_member_is_out_and_stays_in_history(house: House, admin: Person) -> None:
    person = await house.person(availability=Availability.ONLINE)
    assert await admin.client.ask(REMOVE, input={"id": person.id}) == {
        "member": {"id": person.id}, "userErrors": [],
    }  # fmt: skip
    row = await house.stored(person.member)
    assert row.removed_at is not None
    assert row.availability is Availability.OFFLINE
    await within_a_moment(person.client, ME, "UNAUTHENTICATED")
    assert await admin.client.ask(REMOVE, input={"id": person.id}) == refused("NOT_FOUND", "id")
    [entry] = await house.audit("session.ended")
    assert (entry.action, entry.entity_id) == ("member.removed", person.member.id)
    assert entry.changes["email"] == {"from": person.member.email, "to": None}


async def test_who_takes_over_must_be_there(house: House, elsewhere: House, admin: Person) -> None:
    person = await house.person()
    stranger, idle = await elsewhere.person(), await house.person(is_active=False)
    for id_ in (stranger.id, f"Member_{'0' * 32}", "x"):
        answer = await admin.client.ask(REMOVE, input={"id": person.id, "reassignToId": id_})
        assert answer == refused("NOT_FOUND", "reassignToId")
    for id_ in (idle.id, person.id):
        answer = await admin.client.ask(REMOVE, input={"id": person.id, "reassignToId": id_})
        assert answer == refused("WRONG_STATE", "reassignToId")
    assert (await house.stored(person.member)).removed_at is None
    answer = await admin.client.ask(REMOVE, input={"id": person.id, "reassignToId": admin.id})
    assert answer["userErrors"] == []


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AGENT])
async def test_g2_others_change_nobody(house: House, role: Role) -> None:
    person, colleague = await house.person(role), await house.person()
    assert await person.client.code(UPDATE, input={"id": colleague.id, "name": "X"}) == "FORBIDDEN"
    assert await person.client.code(REMOVE, input={"id": colleague.id}) == "FORBIDDEN"
    assert (await house.stored(colleague.member)).removed_at is None


async def test_g2_nobody_without_a_token(anonymous: Client, admin: Person) -> None:
    assert await anonymous.code("{ me { id } }") == "UNAUTHENTICATED"
    assert await anonymous.code(MEMBER, id=admin.id) == "UNAUTHENTICATED"
    assert await anonymous.code(PROFILE, input={"name": "X"}) == "UNAUTHENTICATED"
    assert await anonymous.code(AVAILABILITY, input={"availability": "ONLINE"}) == "UNAUTHENTICATED"


@pytest.mark.parametrize("role", list(Role))
async def test_each_role_changes_its_profile_and_availability(house: House, role: Role) -> None:
    person = await house.person(role)
    avatar = "https://cdn.example.com/bia.png"
    assert await person.client.ask(PROFILE, input={"name": " Bia ", "avatarUrl": avatar}) == {
        "member": {"id": person.id, "name": "Bia", "avatarUrl": avatar}, "userErrors": [],
    }  # fmt: skip
    cleared = await person.client.ask(PROFILE, input={"avatarUrl": None})
    assert cleared["member"] == {"id": person.id, "name": "Bia", "avatarUrl": None}
    wrong = await person.client.ask(PROFILE, input={"name": None, "avatarUrl": "javascript:alert(1)"})
    assert wrong == {
        "member": None,
        "userErrors": [{"code": "REQUIRED", "field": ["name"]}, {"code": "INVALID", "field": ["avatarUrl"]}],
    }
    assert await person.client.ask(AVAILABILITY, input={"availability": "BUSY"}) == {
        "member": {"id": person.id, "availability": "BUSY"}, "userErrors": [],
    }  # fmt: skip
    row = await house.stored(person.member)
    assert (row.name, row.avatar_url, row.availability) == ("Bia", None, Availability.BUSY)
    assert await house.actions() == ["member.updated", "member.updated"]


async def test_a_visiting_super_admin_stays_the_own_member(house: House, elsewhere: House, admin: Person) -> None:
    root = await house.person(Role.SUPER_ADMIN, name="Raiz")
    theirs = await elsewhere.person(name="Bia")
    inside = await visit(root, elsewhere.organization.id)
    assert (await inside.ask(ME))["id"] == root.id
    assert await inside.ask(MEMBER, id=root.id) is None
    assert await inside.ask(MEMBER, id=theirs.id) == {"id": theirs.id, "name": "Bia"}
    assert (await inside.ask(PROFILE, input={"name": "Raiz Nova"}))["member"]["name"] == "Raiz Nova"
    assert (await inside.ask(AVAILABILITY, input={"availability": "ONLINE"}))["userErrors"] == []
    assert (await house.stored(root.member)).name == "Raiz Nova"
    assert (await house.stored(root.member)).availability is Availability.ONLINE
    await elsewhere.person(Role.ORG_ADMIN)
    changed = await inside.ask(UPDATE, input={"id": theirs.id, "name": "Bia Nova"})
    assert changed["member"]["name"] == "Bia Nova"
    entry = (await elsewhere.audit())[-1]
    assert (entry.action, entry.actor_kind.value, entry.actor_name) == ("member.updated", "SUPER_ADMIN", "Raiz Nova")
    assert "member.updated" in await house.actions()
    assert admin.member.organization_id == house.organization.id
