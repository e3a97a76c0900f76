"""What a front end keeps of the desk, and what becomes of it by each update that it hears: pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

SHOWN = """fragment Said on Message { id seq direction authorKind author { id } text options { value title } isNote
    status error replyToId idempotencyKey createdAt attachments { id mimeType fileName sizeBytes } }
fragment Shown on Conversation { id number status priority subject unreadCount lastSeq lastActivityAt queuedAt
    assignedAt snoozedUntil closedAt rating ratingComment createdAt updatedAt isSlaBreached
    firstResponseDueAt nextResponseDueAt resolutionDueAt
    slaClocks { target startedAt dueAt metAt pausedAt breachedAt } replyWindow { isOpen closesAt }
    channel { id } queue { id } department { id } assignee { id } tags { name } lastMessage { ...Said }
    contact { id name phone email attributes isBlocked optedOutAt tags { name }
        identities { externalId displayName } } }"""
TOLD = """__typename seq at ... on ConversationStatusChanged { status by { id } }
    ... on ConversationAssigned { assignee { id } by { id } reason }
    ... on ConversationTransferred { fromQueue { id } toQueue { id } by { id } reason note }
    ... on ConversationChanged { by { id } } ... on SlaBreached { target dueAt }
    ... on MessageStatusChanged { messageStatus message { %s } } ... on MessageAdded { message { %s } }"""
STATS = "stats { waiting active breached agentsOnline averageWaitSeconds }"

OPENED = f"""query ($id: ID!) {{ conversation(id: $id) {{ ...Shown routingDecision {{ isUnroutable }}
    messages(first: 50) {{ nodes {{ ...Said }} }} timeline(first: 50) {{ nodes {{ {TOLD % ("id", "id")} }} }} }} }}
    {SHOWN}"""
EVENTS = f"""subscription ($id: ID!, $after: Int) {{ conversationEvents(conversationId: $id, after: $after) {{
    ... on ConversationEvent {{ conversation {{ ...Shown routingDecision {{ isUnroutable }} }} }}
    ... on TypingChanged {{ authorKind member {{ id }} isTyping }}
    {TOLD.replace("__typename seq at", "__typename ... on ConversationEvent { seq at }") % ("...Said", "...Said")} }} }}
    {SHOWN}"""
LISTED = f"""query ($filter: ConversationFilter) {{ conversations(filter: $filter, first: 50) {{
    nodes {{ ...Shown }} }} }} {SHOWN}"""
INBOX = f"""subscription ($mine: Boolean!) {{ inboxUpdates(mine: $mine) {{ __typename
    ... on InboxConversationChanged {{ conversation {{ ...Shown }} }}
    ... on InboxConversationLeft {{ conversationId }} }} }} {SHOWN}"""
QUEUED = f"""query ($id: ID!) {{ queue(id: $id) {{ {STATS}
    conversations(first: 50) {{ nodes {{ ...Shown }} }} }} }} {SHOWN}"""
QUEUE = f"""subscription ($id: ID!) {{ queueUpdates(queueId: $id) {{ __typename
    ... on QueueSnapshot {{ {STATS} conversations {{ ...Shown }} }}
    ... on QueueConversationChanged {{ {STATS} conversation {{ ...Shown queuePosition }} }}
    ... on QueueConversationLeft {{ {STATS} conversationId }} }} }} {SHOWN}"""


@dataclass(frozen=True)
class Opened:
    """One conversation on the screen. With nothing in it: one that nobody has seen yet."""

    conversation: Json = field(default_factory=dict)
    messages: Mapping[str, Json] = field(default_factory=dict)
    timeline: Mapping[int, Json] = field(default_factory=dict)
    typing: frozenset[tuple[str, str | None]] = frozenset()

    @classmethod
    def read(cls, conversation: Json) -> "Opened":
        said, told = conversation["messages"]["nodes"], conversation["timeline"]["nodes"]
        return cls(
            {key: value for key, value in conversation.items() if key not in {"messages", "timeline"}},
            {message["id"]: message for message in said},
            {entry["seq"]: entry for entry in told},
        )

    def heard(self, event: Json) -> "Opened":
        if event["__typename"] == "TypingChanged":
            who = (event["authorKind"], event["member"] and event["member"]["id"])
            return replace(self, typing=self.typing | {who} if event["isTyping"] else self.typing - {who})
        entry = {key: value for key, value in event.items() if key != "conversation"}
        messages = self.messages
        if message := event.get("message"):
            messages, entry["message"] = {**messages, message["id"]: message}, {"id": message["id"]}
        return replace(
            self,
            conversation=event["conversation"],
            messages=messages,
            timeline={**self.timeline, event["seq"]: entry},
        )


@dataclass(frozen=True)
class Inbox:
    """The caller's own conversations, or all that the caller may see."""

    conversations: Mapping[str, Json]

    @classmethod
    def read(cls, page: Json) -> "Inbox":
        return cls({row["id"]: row for row in page["nodes"]})

    def heard(self, update: Json) -> "Inbox":
        kept = dict(self.conversations)
        if update["__typename"] == "InboxConversationChanged":
            kept[update["conversation"]["id"]] = update["conversation"]
        else:
            kept.pop(update["conversationId"], None)
        return Inbox(kept)


@dataclass(frozen=True)
class Waiting:
    """A queue on the screen: who waits, in order, and who is served."""

    stats: Json
    waiting: tuple[Json, ...] = ()
    served: Mapping[str, Json] = field(default_factory=dict)

    @classmethod
    def read(cls, queue: Json, served: Json) -> "Waiting":
        return cls(queue["stats"], tuple(queue["conversations"]["nodes"]), {row["id"]: row for row in served["nodes"]})

    def heard(self, update: Json) -> "Waiting":
        if update["__typename"] == "QueueSnapshot":
            rows = update["conversations"]
            waits = tuple(row for row in rows if row["status"] == "QUEUED")
            return Waiting(update["stats"], waits, {row["id"]: row for row in rows if row["status"] != "QUEUED"})
        changed = dict(update.get("conversation") or {"id": update.get("conversationId")})
        position = changed.pop("queuePosition", None)
        waits = tuple(row for row in self.waiting if row["id"] != changed["id"])
        served = {id_: row for id_, row in self.served.items() if id_ != changed["id"]}
        if position is not None:
            waits = (*waits[: position - 1], changed, *waits[position - 1 :])
        elif "status" in changed:
            served[changed["id"]] = changed
        return Waiting(update["stats"], waits, served)
