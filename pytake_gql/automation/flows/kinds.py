"""The words of flows: kinds of nodes, and how a run stands."""

from enum import StrEnum


class FlowNodeKind(StrEnum):
    """What a node of a flow does.

    A way out without an edge ends the run; but error, invalid, timeout and default then hand off.
    """

    START = "START"
    """Where a run begins. Way out: next."""
    MESSAGE = "MESSAGE"
    """Says something: a text, a file, or a template. Way out: next."""
    MENU = "MENU"
    """Offers options and waits. Ways out: each option's value, invalid, timeout."""
    QUESTION = "QUESTION"
    """Asks, waits, and keeps an answer of its type. Ways out: next, invalid, timeout."""
    CONDITION = "CONDITION"
    """Compares values. Ways out: each branch's name, default."""
    RANDOM = "RANDOM"
    """Draws by weight. Ways out: each branch's name."""
    OPENING_HOURS = "OPENING_HOURS"
    """Asks whether a queue or the organization is open. Ways out: open, closed."""
    SET_VARIABLE = "SET_VARIABLE"
    """Sets a variable of the run. Way out: next."""
    UPDATE_CONTACT = "UPDATE_CONTACT"
    """Writes what is known about the contact: details, attributes, tags, opt-out. Way out: next."""
    WAIT = "WAIT"
    """Lets time pass. Way out: next."""
    API_CALL = "API_CALL"
    """Calls a public HTTP API and keeps what it answers. Ways out: next, error."""
    AI_REPLY = "AI_REPLY"
    """Lets the organization's AI answer. Ways out: next, error."""
    JUMP = "JUMP"
    """Goes on at another node, or in another flow. It has no way out."""
    HANDOFF = "HANDOFF"
    """Gives the conversation to people. It has no way out."""
    END = "END"
    """Ends the flow. It has no way out."""


class FlowRunStatus(StrEnum):
    """RUNNING and WAITING are alive; the others are ends. WAITING: for the contact, for time, or for an answer."""

    RUNNING = "RUNNING"
    WAITING = "WAITING"
    COMPLETED = "COMPLETED"
    HANDED_OFF = "HANDED_OFF"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
