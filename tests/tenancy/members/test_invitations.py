"""From the invitation to the member."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from sqlmodel import col, select

from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import ConversationScope, Role
from pytake_gql.tenancy.mail.models import Mail
from pytake_gql.tenancy.members.models import Account, Invitation, Member
from tests.client import Client
from tests.conftest import TravellingClock
from tests.tenancy.members.conftest import House, Person, visit

INVITE = """mutation ($input: InviteMemberInput!) { inviteMember(input: $input) {
    invitation { id email role acceptedAt } userErrors { code field } } }"""
CANCEL = """mutation ($input: CancelInvitationInput!) { cancelInvitation(input: $input) {
    invitation { id email } userErrors { code field } } }"""
PREVIEW = """query ($token: String!) { invitationPreview(token: $token) {
    organizationName email role hasAccount expiresAt } }"""
ACCEPT = """mutation ($input: AcceptInvitationInput!) { acceptInvitation(input: $input) {
    session { accessToken member { name email role } } userErrors { code field } } }"""
LIST = "{ invitations { id email role acceptedAt } }"
PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Post:
    """The mails that went out."""

    ports: Ports

    async def to(self, email: str) -> list[Mail]:
        async with self.ports.database.session(None) as session:
            found = await session.execute(select(Mail).where(Mail.recipient == email).order_by(col(Mail.id)))
            return list(found.scalars())

    async def token(self, email: str) -> str:
        """That of the newest."""
        [link] = (await self.to(email))[-1].links
        return parse_qs(urlsplit(link).query)["token"][0]


@pytest.fixture
def post(ports: Ports) -> Post:
    return Post(ports)


@pytest.fixture
def email() -> str:
    return f"bia-{uuid4().hex[:12]}@example.com"


async def stored(house: House, email: str) -> list[Invitation]:
    async with house.ports.database.session(house.organization.id) as session:
        found = await session.execute(select(Invitation).where(Invitation.email == email))
        return list(found.scalars())


async def member_of(house: House, email: str) -> Member | None:
    async with house.ports.database.session(house.organization.id) as session:
        found = await session.execute(select(Member).where(Member.email == email, col(Member.removed_at).is_(None)))
        return found.scalar_one_or_none()


async def account_of(ports: Ports, email: str) -> Account | None:
    async with ports.database.session(None) as session:
        return (await session.execute(select(Account).where(Account.email == email))).scalar_one_or_none()


def refused(code: str, *field: str) -> dict[str, Any]:
    return {"session": None, "userErrors": [{"code": code, "field": list(field)}]}


def not_invited(code: str, *field: str) -> dict[str, Any]:
    return {"invitation": None, "userErrors": [{"code": code, "field": list(field)}]}


async def test_a_new_person_is_invited_looks_and_joins(
    house: House, admin: Person, anonymous: Client, post: Post, email: str
) -> None:
    invited = await admin.client.ask(INVITE, input={"email": f" {email.upper()} ", "name": "Bia", "role": "AGENT"})
    assert invited["userErrors"] == []
    id_ = invited["invitation"]["id"]
    assert invited["invitation"] == {"id": id_, "email": email, "role": "AGENT", "acceptedAt": None}
    assert await admin.client.ask(LIST) == [invited["invitation"]]
    [mail] = await post.to(email)
    assert house.organization.name in mail.subject
    assert admin.member.name in mail.text
    assert mail.links[0].startswith(f"{house.ports.settings.web_url}/accept-invitation?token=")

    token = await post.token(email)
    preview = await anonymous.ask(PREVIEW, token=token)
    [row] = await stored(house, email)
    assert preview.pop("expiresAt") == row.expires_at.isoformat().replace("+00:00", "Z")
    assert preview == {
        "organizationName": house.organization.name, "email": email, "role": "AGENT", "hasAccount": False,
    }  # fmt: skip

    joined = await anonymous.ask(ACCEPT, input={"token": token, "name": " Bia Lima ", "password": PASSWORD})
    assert joined["userErrors"] == []
    assert joined["session"]["member"] == {"name": "Bia Lima", "email": email, "role": "AGENT"}
    inside = Client(house.http, joined["session"]["accessToken"])
    assert await inside.ask("{ me { email } }") == {"email": email}
    member = await member_of(house, email)
    assert member is not None
    assert (member.conversation_scope, member.capacity) == (ConversationScope.QUEUES, 5)
    assert (await admin.client.ask(LIST))[0]["acceptedAt"] is not None
    assert (await house.actions())[:2] == ["member.invited", "member.joined"]
    assert (await house.audit())[0].entity_id == row.id


async def test_a_token_serves_once(admin: Person, anonymous: Client, post: Post, email: str, house: House) -> None:
    await admin.client.ask(INVITE, input={"email": email, "role": "VIEWER"})
    token = await post.token(email)
    given = {"token": token, "name": "Bia", "password": PASSWORD}
    assert (await anonymous.ask(ACCEPT, input=given))["userErrors"] == []
    assert await anonymous.ask(PREVIEW, token=token) is None
    assert await anonymous.ask(ACCEPT, input=given) == refused("EXPIRED", "token")
    member = await member_of(house, email)
    assert member is not None
    assert member.conversation_scope is ConversationScope.ORGANIZATION


async def test_inviting_again_kills_the_old_token(
    house: House, admin: Person, anonymous: Client, post: Post, email: str
) -> None:
    first = await admin.client.ask(INVITE, input={"email": email, "role": "VIEWER"})
    old = await post.token(email)
    second = await admin.client.ask(INVITE, input={"email": email, "role": "AGENT"})
    assert second["invitation"] == first["invitation"] | {"role": "AGENT"}
    assert len(await stored(house, email)) == 1
    assert len(await post.to(email)) == 2
    assert await anonymous.ask(PREVIEW, token=old) is None
    given = {"name": "Bia", "password": PASSWORD}
    assert await anonymous.ask(ACCEPT, input=given | {"token": old}) == refused("EXPIRED", "token")
    assert (await anonymous.ask(PREVIEW, token=await post.token(email)))["role"] == "AGENT"


async def test_an_invitation_expires_and_is_renewed(
    admin: Person, anonymous: Client, post: Post, email: str, clock: TravellingClock, house: House
) -> None:
    await admin.client.ask(INVITE, input={"email": email, "role": "VIEWER"})
    token = await post.token(email)
    clock.advance(days=7, seconds=1)
    assert await anonymous.ask(PREVIEW, token=token) is None
    given = {"token": token, "name": "Bia", "password": PASSWORD}
    assert await anonymous.ask(ACCEPT, input=given) == refused("EXPIRED", "token")
    assert await member_of(house, email) is None
    assert await account_of(house.ports, email) is None
    again = Client(house.http, (await house.make.signed_in(admin.member)).token)
    assert (await again.ask(INVITE, input={"email": email, "role": "VIEWER"}))["userErrors"] == []
    assert await anonymous.ask(PREVIEW, token=await post.token(email)) is not None


async def test_a_cancelled_invitation_is_worth_nothing(
    house: House, admin: Person, anonymous: Client, post: Post, email: str
) -> None:
    invited = await admin.client.ask(INVITE, input={"email": email, "role": "VIEWER"})
    id_ = invited["invitation"]["id"]
    assert await admin.client.ask(CANCEL, input={"id": id_}) == {
        "invitation": {"id": id_, "email": email}, "userErrors": [],
    }  # fmt: skip
    token = await post.token(email)
    assert await anonymous.ask(PREVIEW, token=token) is None
    given = {"token": token, "name": "Bia", "password": PASSWORD}
    assert await anonymous.ask(ACCEPT, input=given) == refused("EXPIRED", "token")
    assert await admin.client.ask(LIST) == []
    assert await admin.client.ask("query ($id: ID!) { node(id: $id) { id } }", id=id_) is None
    assert await admin.client.ask(CANCEL, input={"id": id_}) == not_invited("NOT_FOUND", "id")
    assert await house.actions() == ["member.invited", "invitation.cancelled"]
    assert (await admin.client.ask(INVITE, input={"email": email, "role": "VIEWER"}))["userErrors"] == []


async def test_an_accepted_invitation_is_not_cancelled(
    admin: Person, anonymous: Client, post: Post, email: str, house: House
) -> None:
    invited = await admin.client.ask(INVITE, input={"email": email, "role": "VIEWER"})
    given = {"token": await post.token(email), "name": "Bia", "password": PASSWORD}
    await anonymous.ask(ACCEPT, input=given)
    answer = await admin.client.ask(CANCEL, input={"id": invited["invitation"]["id"]})
    assert answer == not_invited("WRONG_STATE", "id")
    assert await member_of(house, email) is not None


async def test_who_is_wrongly_invited_is_not(house: House, admin: Person, post: Post, email: str) -> None:
    colleague = await house.person()
    for given, problem in (
        ({"email": "nobody", "role": "AGENT"}, ("INVALID", "email")),
        ({"email": " ", "role": "AGENT"}, ("REQUIRED", "email")),
        ({"email": colleague.member.email.upper(), "role": "AGENT"}, ("TAKEN", "email")),
        ({"email": email, "role": "AGENT", "name": "a\nb"}, ("INVALID", "name")),
        ({"email": email, "role": "SUPER_ADMIN"}, ("FORBIDDEN", "role")),
        ({"email": email, "role": "AGENT", "queueIds": [f"Queue_{'0' * 32}"]}, ("NOT_FOUND", "queueIds", "0")),
        ({"email": email, "role": "AGENT", "queueIds": ["x"]}, ("NOT_FOUND", "queueIds", "0")),
    ):
        assert await admin.client.ask(INVITE, input=given) == not_invited(*problem)
    assert await admin.client.ask(LIST) == []
    assert await post.to(email) == []
    assert await house.actions() == []


async def test_a_removed_member_may_be_invited_again(
    house: House, admin: Person, anonymous: Client, post: Post
) -> None:
    account = await house.make.account(PASSWORD)
    gone = await house.person(account=account, removed_at=house.ports.clock.now())
    invited = await admin.client.ask(INVITE, input={"email": account.email, "name": "Bia", "role": "AGENT"})
    assert invited["userErrors"] == []
    given = {"token": await post.token(account.email), "name": "", "password": PASSWORD}
    joined = await anonymous.ask(ACCEPT, input=given)
    assert joined["userErrors"] == []
    member = await member_of(house, account.email)
    assert member is not None
    assert member.id != gone.member.id
    assert member.account_id == account.id


async def test_who_has_an_account_keeps_it(
    house: House, elsewhere: House, admin: Person, anonymous: Client, post: Post
) -> None:
    account = await house.make.account(PASSWORD)
    await elsewhere.person(account=account, name="Bia Lima")
    await admin.client.ask(INVITE, input={"email": account.email, "role": "AGENT"})
    token = await post.token(account.email)
    assert (await anonymous.ask(PREVIEW, token=token))["hasAccount"] is True
    wrong = await anonymous.ask(ACCEPT, input={"token": token, "name": "X", "password": "not the password"})
    assert wrong == refused("INVALID_CREDENTIALS", "password")
    assert await member_of(house, account.email) is None
    joined = await anonymous.ask(ACCEPT, input={"token": token, "name": "X", "password": PASSWORD})
    assert joined["session"]["member"] == {"name": "Bia Lima", "email": account.email, "role": "AGENT"}
    member = await member_of(house, account.email)
    assert member is not None
    assert member.account_id == account.id


async def test_g15_the_password_is_not_guessed_by_invitation(
    admin: Person, elsewhere: House, anonymous: Client, post: Post, house: House
) -> None:
    account = await house.make.account(PASSWORD)
    await elsewhere.person(account=account)
    await admin.client.ask(INVITE, input={"email": account.email, "role": "AGENT"})
    given = {"token": await post.token(account.email), "name": "X", "password": "not the password"}
    codes = []
    for _ in range(8):
        answer = await anonymous.post(ACCEPT, input=given)
        codes.append(answer["errors"][0]["extensions"]["code"] if "errors" in answer else "INVALID_CREDENTIALS")
    assert codes[0] == "INVALID_CREDENTIALS"
    assert codes[-1] == "RATE_LIMITED"
    assert await member_of(house, account.email) is None


async def test_a_new_account_is_checked_and_nothing_is_made(
    admin: Person, anonymous: Client, post: Post, email: str, house: House
) -> None:
    await admin.client.ask(INVITE, input={"email": email, "role": "AGENT"})
    given = {"token": await post.token(email), "name": " ", "password": "short"}
    answer = await anonymous.ask(ACCEPT, input=given)
    assert answer == {
        "session": None,
        "userErrors": [{"code": "REQUIRED", "field": ["name"]}, {"code": "INVALID", "field": ["password"]}],
    }
    assert await account_of(house.ports, email) is None
    assert await anonymous.ask(PREVIEW, token=given["token"]) is not None


async def test_queues_are_served_from_the_first_day(
    house: House, admin: Person, anonymous: Client, post: Post, email: str
) -> None:
    queue = await house.make.queue(house.organization)
    id_ = f"Queue_{queue.id.hex}"
    await admin.client.ask(INVITE, input={"email": email, "role": "AGENT", "queueIds": [id_]})
    given = {"token": await post.token(email), "name": "Bia", "password": PASSWORD}
    joined = await anonymous.ask(ACCEPT, input=given)
    inside = Client(house.http, joined["session"]["accessToken"])
    assert await inside.ask("{ me { queues { id } } }") == {"queues": [{"id": id_}]}


async def test_nobody_joins_an_inactive_organization(
    house: House, admin: Person, anonymous: Client, post: Post, email: str
) -> None:
    await admin.client.ask(INVITE, input={"email": email, "role": "AGENT"})
    async with house.ports.units.of_system(house.organization.id) as uow:
        organization = await uow.session.get_one(type(house.organization), house.organization.id)
        organization.is_active = False
    token = await post.token(email)
    assert await anonymous.ask(PREVIEW, token=token) is None
    given = {"token": token, "name": "Bia", "password": PASSWORD}
    assert await anonymous.ask(ACCEPT, input=given) == refused("EXPIRED", "token")


@pytest.mark.parametrize("token", ["", "x", "0" * 64, "café", "0" * 5000])
async def test_a_token_that_never_was(anonymous: Client, token: str) -> None:
    assert await anonymous.ask(PREVIEW, token=token) is None
    given = {"token": token, "name": "Bia", "password": PASSWORD}
    assert await anonymous.ask(ACCEPT, input=given) == refused("EXPIRED", "token")


async def test_g1_another_organizations_invitation_is_not_there(
    house: House, elsewhere: House, admin: Person, email: str
) -> None:
    invited = await admin.client.ask(INVITE, input={"email": email, "role": "VIEWER"})
    id_ = invited["invitation"]["id"]
    stranger = await elsewhere.person(Role.ORG_ADMIN)
    assert await stranger.client.ask(LIST) == []
    assert await stranger.client.ask(CANCEL, input={"id": id_}) == not_invited("NOT_FOUND", "id")
    assert await stranger.client.ask("query ($id: ID!) { node(id: $id) { id } }", id=id_) is None
    assert await admin.client.ask("query ($id: ID!) { node(id: $id) { id } }", id=id_) == {"id": id_}
    [row] = await stored(house, email)
    assert row.cancelled_at is None


async def test_a_visiting_super_admin_invites(house: House, elsewhere: House, email: str) -> None:
    root = await visit(await elsewhere.person(Role.SUPER_ADMIN), house.organization.id)
    assert (await root.ask(INVITE, input={"email": email, "role": "ORG_ADMIN"}))["userErrors"] == []
    [row] = await stored(house, email)
    assert row.invited_by_id is None
    entry = (await house.audit())[-1]
    assert (entry.action, entry.actor_kind.value) == ("member.invited", "SUPER_ADMIN")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AGENT])
async def test_g2_only_admins_invite(house: House, admin: Person, email: str, role: Role) -> None:
    person = await house.person(role)
    invited = await admin.client.ask(INVITE, input={"email": email, "role": "VIEWER"})
    id_ = invited["invitation"]["id"]
    assert await person.client.code(LIST) == "FORBIDDEN"
    assert await person.client.code(INVITE, input={"email": "x@example.com", "role": "VIEWER"}) == "FORBIDDEN"
    assert await person.client.code(CANCEL, input={"id": id_}) == "FORBIDDEN"
    assert await person.client.ask("query ($id: ID!) { node(id: $id) { id } }", id=id_) is None
    assert len(await stored(house, "x@example.com")) == 0


async def test_g2_nobody_invites_without_a_token(anonymous: Client) -> None:
    assert await anonymous.code(LIST) == "UNAUTHENTICATED"
    assert await anonymous.code(INVITE, input={"email": "x@example.com", "role": "VIEWER"}) == "UNAUTHENTICATED"
    assert await anonymous.code(CANCEL, input={"id": "x"}) == "UNAUTHENTICATED"
