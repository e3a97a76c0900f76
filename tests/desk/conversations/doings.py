"""Everything that is done to conversations, and what must have been done before: the table that tests go through."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID

from pytake_gql import bootstrap
from pytake_gql.desk.contacts.models import ContactIdentity
from pytake_gql.desk.conversations import jobs
from pytake_gql.desk.queues.models import Queue
from pytake_gql.desk.sla import jobs as sla
from pytake_gql.desk.tags.models import Tag
from pytake_gql.development.meta import payloads
from pytake_gql.development.meta.recorder import Fault
from pytake_gql.kernel.ids import global_id, id_of
from pytake_gql.tenancy.members.models import Member
from tests.client import Client
from tests.conftest import TravellingClock
from tests.desk.attachments.sending import PNG, upload
from tests.desk.desk import Desk
from tests.meta import Wire

SHOWN = {
    "startConversation": "conversation { id }",
    "sendMessage": "message { id }",
    "sendVisitorMessage": "chat { id }",
    "startVisit": "visit { visitorToken }",
}


async def do(client: Client, name: str, /, **input_: Any) -> Any:
    """A mutation that must succeed, and its payload."""
    document = f"""mutation ($input: {name[0].upper()}{name[1:]}Input!) {{ {name}(input: $input) {{
        {SHOWN.get(name, "")} userErrors {{ code field message }} }} }}"""
    answer = await client.ask(document, input=input_)
    assert answer.pop("userErrors") == []
    return answer


@dataclass
class Stage:
    """A desk with a second queue that a colleague serves, and a visitor who has written; or a contact on WhatsApp."""

    desk: Desk
    clock: TravellingClock
    other: Queue
    colleague: Member
    visitor: Client
    wire: Wire | None = None
    id: str = ""
    opened: list[str] = field(default_factory=list)
    """The conversations that somebody has on the screen before it is done."""
    born: list[str] = field(default_factory=list)
    """Those that begin by it."""
    known: dict[str, str] = field(default_factory=dict)

    async def agent(self, name: str, /, **input_: Any) -> Any:
        return await do(self.desk.agent, name, **input_)

    async def write(self, text: str = "Oi", **input_: Any) -> str:
        """The visitor's words; the id of the conversation."""
        said = await do(self.visitor, "sendVisitorMessage", text=text, **input_)
        id_: str = said["chat"]["id"].replace("VisitorChat", "Conversation")
        return id_

    async def send(self, text: str | None = "Pois não?", **input_: Any) -> str:
        sent = await do(self.desk.agent, "sendMessage", conversationId=self.id, text=text, **input_)
        id_: str = sent["message"]["id"]
        return id_

    async def deliver(self, id_: str) -> None:
        ports = self.desk.make.ports
        await jobs.deliver_message(ports, bootstrap.channels(ports), self.desk.organization.id, id_of(id_))

    async def tag(self, name: str) -> str:
        row = Tag(name=name, name_key=name.lower())
        await self.desk.make.save(self.desk.organization.id, row)
        return global_id("Tag", row.id)

    async def contact_id(self, conversation: str) -> str:
        read = "query ($id: ID!) { conversation(id: $id) { contact { id } } }"
        id_: str = (await self.desk.admin.ask(read, id=conversation))["contact"]["id"]
        return id_

    async def last_seq(self) -> int:
        read = "query ($id: ID!) { conversation(id: $id) { lastSeq } }"
        seq: int = (await self.desk.admin.ask(read, id=self.id))["lastSeq"]
        return seq

    @property
    def of_whatsapp(self) -> Wire:
        assert self.wire is not None
        return self.wire

    @property
    def organization_id(self) -> UUID:
        return self.desk.organization.id


Act: TypeAlias = Callable[[Stage], Awaitable[Any]]


# ------------------------------------------------------------------------------------------ what was before


async def nothing(stage: Stage) -> None:
    """Nobody has written."""


async def waiting(stage: Stage) -> None:
    stage.id = await stage.write()
    stage.opened = [stage.id]


async def mine(stage: Stage) -> None:
    await waiting(stage)
    await stage.agent("pullNextConversation")


async def tagged(stage: Stage) -> None:
    await mine(stage)
    await stage.agent("updateConversation", id=stage.id, tagIds=[await stage.tag("Antigo")], subject="Pedido 7")
    stage.known["tag"] = await stage.tag("Novo")


async def answered(stage: Stage) -> None:
    await mine(stage)
    stage.known["message"] = await stage.send()


async def noted(stage: Stage) -> None:
    """What an erasure cuts, though no customer ever saw it."""
    await mine(stage)
    await stage.send("Bia mora na rua A", isNote=True)


async def sent(stage: Stage) -> None:
    await answered(stage)
    await stage.deliver(stage.known["message"])


async def snoozed(stage: Stage) -> None:
    await mine(stage)
    until = (stage.clock.now() + timedelta(minutes=1)).isoformat()
    await stage.agent("snoozeConversation", id=stage.id, until=until)


async def closed(stage: Stage) -> None:
    await mine(stage)
    await stage.agent("closeConversation", id=stage.id)


async def uploaded(stage: Stage) -> None:
    await mine(stage)
    stage.known["file"] = await upload(stage.desk.http, stage.desk.agent)


async def uploaded_by_visitor(stage: Stage) -> None:
    await mine(stage)
    stage.known["file"] = await upload(stage.desk.http, stage.visitor)


async def typing(stage: Stage) -> None:
    await mine(stage)


async def two_wait(stage: Stage) -> None:
    """Two contacts on one channel, both with an open conversation."""
    stage.opened = [await stage.write()]
    stage.visitor = await stage.desk.visitor()
    stage.id = await stage.write("Sou eu de novo")
    stage.opened.append(stage.id)


async def known_contact(stage: Stage) -> None:
    """Somebody who was in the chat before."""
    contact = await stage.desk.make.contact(stage.desk.organization)
    identity = ContactIdentity(
        contact_id=contact.id,
        channel_id=stage.desk.channel.id,
        external_id=f"visitor:{contact.id.hex}",
        created_at=contact.created_at,
    )
    await stage.desk.make.save(stage.organization_id, identity)
    stage.known["contact"] = global_id("Contact", contact.id)


async def in_third_queue(stage: Stage) -> None:
    """Served, in a queue that nobody has on the screen and that no event of the past names."""
    third = await stage.desk.make.queue(stage.desk.organization, stage.desk.agent_member, auto_assign=False)
    stage.known["queue"] = queue(third)
    await known_contact(stage)
    await start(stage, queueId=queue(third))
    stage.opened, stage.born = stage.born, []
    stage.id = stage.opened[0]
    await stage.agent("pullNextConversation")


async def full(stage: Stage) -> None:
    """The second queue takes nobody more."""
    await mine(stage)
    overflow = await stage.desk.make.queue(stage.desk.organization)
    await stage.desk.admin.ask(
        "mutation ($i: UpdateQueueInput!) { updateQueue(input: $i) { userErrors { code } } }",
        i={"id": queue(stage.other), "isActive": True, "maxSize": 0, "overflowQueueId": queue(overflow)},
    )


async def on_whatsapp(stage: Stage) -> None:
    await stage.of_whatsapp.says("Oi")
    stage.id = global_id("Conversation", (await stage.of_whatsapp.conversation()).id)
    stage.opened = [stage.id]
    await stage.agent("pullNextConversation")


async def sent_on_whatsapp(stage: Stage) -> None:
    await on_whatsapp(stage)
    stage.known["message"] = await stage.send()
    await stage.deliver(stage.known["message"])


async def known_by_number(stage: Stage) -> None:
    """In the web chat, by somebody whose number is known."""
    await mine(stage)
    await stage.agent("updateContact", id=await stage.contact_id(stage.id), phone=f"+{stage.of_whatsapp.contact}")


async def with_template(stage: Stage) -> None:
    await on_whatsapp(stage)
    body = [{"type": "BODY", "text": "Olá {{1}}!"}]
    stage.of_whatsapp.line.templates[:] = [
        {"name": "ola", "language": "pt_BR", "category": "UTILITY", "status": "APPROVED", "components": body}
    ]
    document = """mutation ($input: SyncTemplatesInput!) { syncTemplates(input: $input) {
        channel { templates { id } } userErrors { code } } }"""
    channel_id = global_id("Channel", stage.of_whatsapp.channel.id)
    answer = await stage.desk.admin.ask(document, input={"channelId": channel_id})
    stage.known["template"] = answer["channel"]["templates"][0]["id"]


# ---------------------------------------------------------------------------------------------- what is done


def agent(name: str, /, **input_: Any) -> Act:
    """By the agent, to the conversation."""
    return lambda stage: stage.agent(name, id=stage.id, **input_)


def admin(name: str, /, **input_: Any) -> Act:
    return lambda stage: do(stage.desk.admin, name, id=stage.id, **input_)


def queue(row: Queue) -> str:
    return global_id("Queue", row.id)


def member(row: Member) -> str:
    return global_id("Member", row.id)


async def start(stage: Stage, **input_: Any) -> None:
    channel_id = global_id("Channel", stage.desk.channel.id)
    given = {"contactId": stage.known["contact"], "channelId": channel_id, "text": "Bom dia", **input_}
    stage.born = [(await stage.agent("startConversation", **given))["conversation"]["id"]]


async def begin(stage: Stage) -> None:
    stage.born = [await stage.write()]


async def wake(stage: Stage) -> None:
    stage.clock.advance(minutes=2)
    assert await jobs.wake_conversation(stage.desk.make.ports, stage.organization_id, id_of(stage.id))


async def miss_deadline(stage: Stage) -> None:
    stage.clock.advance(minutes=2)
    assert await sla.record_breaches(stage.desk.make.ports, stage.organization_id, id_of(stage.id))


async def read_all(stage: Stage) -> None:
    await stage.agent("markConversationRead", id=stage.id, seq=await stage.last_seq())


async def read_by_visitor(stage: Stage) -> None:
    await do(stage.visitor, "markVisitorRead", seq=await stage.last_seq())


async def introduce(stage: Stage) -> None:
    """The page tells who its visitor is, in the middle of the chat."""
    channel_id = global_id("Channel", stage.desk.channel.id)
    given = {"channelId": channel_id, "visitorToken": stage.visitor.token, "name": "Bia Souza"}
    await do(Client(stage.desk.http, None), "startVisit", **given)


async def update_contact(stage: Stage) -> None:
    contact_id = await stage.contact_id(stage.id)
    changes = {"name": "Bia Souza", "phone": "+5511987654321", "tagIds": [await stage.tag("VIP")]}
    await stage.agent("updateContact", id=contact_id, **changes)


async def known_by_phone(stage: Stage) -> None:
    await mine(stage)
    await stage.agent("updateContact", id=await stage.contact_id(stage.id), phone="+5511987654321")


async def bring_in(stage: Stage) -> None:
    await do(stage.desk.admin, "importContacts", csv="name,phone,tags\nBia Souza,11 98765-4321,VIP")


async def merge(stage: Stage) -> None:
    older, newer = [await stage.contact_id(id_) for id_ in stage.opened]
    await stage.agent("updateContact", id=older, name="Bia Souza")
    await stage.agent("mergeContacts", keepId=newer, mergeId=older)


async def erase(stage: Stage) -> None:
    await do(stage.desk.admin, "deleteContact", id=await stage.contact_id(stage.id))


async def sent_now(stage: Stage) -> None:
    await stage.deliver(await stage.send())


async def fail_for_now(stage: Stage) -> None:
    stage.of_whatsapp.recorder.faults.append(Fault(status=503))
    await stage.deliver(await stage.send())


async def refuse(stage: Stage) -> None:
    stage.of_whatsapp.recorder.faults.append(Fault(status=400, code=131026))
    await stage.deliver(await stage.send())


async def write_there(stage: Stage) -> None:
    await stage.of_whatsapp.says("Oi")
    document = "query { conversations(first: 9) { nodes { id } } }"
    nodes = (await stage.desk.admin.ask(document))["nodes"]
    stage.born = [row["id"] for row in nodes if row["id"] != stage.id]


def told(*became: str) -> Act:
    async def tell(stage: Stage) -> None:
        row = await stage.of_whatsapp.message(id_of(stage.known["message"]))
        for status in became:
            errors = [{"code": 131026, "title": "Message undeliverable"}] if status == "failed, by a status" else []
            await stage.of_whatsapp.told(row.provider_message_id or "", status, errors=errors)

    return tell


async def send_picture(stage: Stage) -> None:
    """The message at once, the file after it."""
    wire = stage.of_whatsapp
    image = {"id": wire.line.keep(PNG, "image/png"), "mime_type": "image/png", "caption": "Veja"}
    message = payloads.said(wire.contact, "image", image, time.time())
    assert await wire.deliver(payloads.whatsapp(wire.line.address, messages=[message])) == 200
    assert await wire.fetch_media() == [True]


async def react(stage: Stage) -> None:
    wire = stage.of_whatsapp
    row = await wire.message(id_of(stage.known["message"]))
    content = {"message_id": row.provider_message_id, "emoji": "👍"}
    message = payloads.said(wire.contact, "reaction", content, time.time())
    assert await wire.deliver(payloads.whatsapp(wire.line.address, messages=[message])) == 200


async def many_at_once(stage: Stage) -> None:
    await asyncio.gather(*(stage.send(f"{n}") for n in range(5)), stage.write("E eu?"), update_contact(stage))


# What stands behind a comma is a variation: it has its turn in the long form of the test.
IN_WEB_CHAT: dict[str, tuple[Act, Act]] = {
    "startConversation": (known_contact, start),
    "startConversation, in a queue": (known_contact, lambda stage: start(stage, queueId=queue(stage.other))),
    "sendMessage": (mine, lambda stage: stage.send(idempotencyKey="k")),
    "sendMessage of a note": (mine, lambda stage: stage.send("Cliente antigo", isNote=True)),
    "sendMessage with a file": (uploaded, lambda stage: stage.send(None, attachmentIds=[stage.known["file"]])),
    "sendMessage, reply": (answered, lambda stage: stage.send("Aliás", replyToId=stage.known["message"])),
    "delivery": (answered, lambda stage: stage.deliver(stage.known["message"])),
    "assignConversation": (waiting, lambda s: admin("assignConversation", memberId=member(s.desk.agent_member))(s)),
    "assignConversation, to nobody": (mine, agent("assignConversation", memberId=None)),
    "pullNextConversation": (waiting, lambda stage: stage.agent("pullNextConversation")),
    "pullNextConversation, of two": (two_wait, lambda stage: stage.agent("pullNextConversation")),
    "transferConversation to a queue": (
        mine,
        lambda s: s.agent("transferConversation", id=s.id, queueId=queue(s.other), note="Já é cliente"),
    ),
    "transferConversation, overflows": (
        full,
        lambda s: s.agent("transferConversation", id=s.id, queueId=queue(s.other)),
    ),
    "transferConversation to a member": (
        mine,
        lambda s: s.agent("transferConversation", id=s.id, memberId=member(s.colleague), note="Fala com ela"),
    ),
    "updateConversation of tags": (
        tagged,
        lambda stage: stage.agent("updateConversation", id=stage.id, tagIds=[stage.known["tag"]]),
    ),
    "updateConversation of priority": (two_wait, agent("updateConversation", priority="URGENT")),
    "updateConversation, subject": (tagged, agent("updateConversation", subject=None)),
    "snoozeConversation": (mine, agent("snoozeConversation", until="2027-01-01T00:00:00Z")),
    "wake": (snoozed, wake),
    "wake, by the contact": (snoozed, lambda stage: stage.write("Voltei")),
    "wake, by a member": (snoozed, agent("reopenConversation")),
    "closeConversation": (mine, agent("closeConversation", note="Resolvido")),
    "closeConversation, waiting": (waiting, agent("closeConversation")),
    "reopenConversation": (closed, agent("reopenConversation")),
    "reopen, by the contact": (closed, lambda stage: stage.write("Mais uma coisa")),
    "markConversationRead": (mine, read_all),
    "updateContact": (mine, update_contact),
    "updateContact, closed": (closed, update_contact),
    "importContacts": (known_by_phone, bring_in),
    "mergeContacts": (two_wait, merge),
    "deleteContact": (two_wait, erase),
    "deleteContact with notes": (noted, erase),
    "deleteQueue": (in_third_queue, lambda stage: do(stage.desk.admin, "deleteQueue", id=stage.known["queue"])),
    "startVisit": (mine, introduce),
    "sendVisitorMessage, the first": (nothing, begin),
    "sendVisitorMessage": (mine, lambda stage: stage.write("Alguém aí?")),
    "sendVisitorMessage, attachment": (
        uploaded_by_visitor,
        lambda stage: stage.write("Veja", attachmentIds=[stage.known["file"]]),
    ),
    "markVisitorRead": (sent, read_by_visitor),
    "rateVisit": (closed, lambda stage: do(stage.visitor, "rateVisit", rating=5, comment="Ótimo")),
    "a missed deadline": (waiting, miss_deadline),
    "setAvailability": (mine, lambda stage: stage.agent("setAvailability", availability="OFFLINE")),
    "many at once": (mine, many_at_once),
}
ON_WHATSAPP: dict[str, tuple[Act, Act]] = {
    "a message, nothing else": (on_whatsapp, lambda stage: stage.of_whatsapp.says("Alguém aí?")),
    "a new identity": (known_by_number, write_there),
    "a picture": (on_whatsapp, send_picture),
    "a reaction, to a message": (sent_on_whatsapp, react),
    "sendMessage of a template": (
        with_template,
        lambda s: s.send(None, template={"templateId": s.known["template"], "variables": ["Bia"]}),
    ),
    "sent, nothing else": (on_whatsapp, sent_now),
    "delivered and read": (sent_on_whatsapp, told("delivered", "read")),
    "failed, by a status": (sent_on_whatsapp, told("failed, by a status")),
    "a failure for now": (on_whatsapp, fail_for_now),
    "a failure, for good": (on_whatsapp, refuse),
}
