"""The words of flows: kinds of nodes, and how a run stands."""

from enum import StrEnum


class FlowNodeKind(StrEnum):
    """What a node of a flow does."""

    START = "START"
    MESSAGE = "MESSAGE"
    MENU = "MENU"
    QUESTION = "QUESTION"
    CONDITION = "CONDITION"
    RANDOM = "RANDOM"
    OPENING_HOURS = "OPENING_HOURS"
    SET_VARIABLE = "SET_VARIABLE"
    UPDATE_CONTACT = "UPDATE_CONTACT"
    WAIT = "WAIT"
    API_CALL = "API_CALL"
    AI_REPLY = "AI_REPLY"
    JUMP = "JUMP"
    HANDOFF = "HANDOFF"
    END = "END"


class FlowRunStatus(StrEnum):
    """RUNNING and WAITING are alive; the others are ends. WAITING: for the contact, for time, or for an answer."""

    RUNNING = "RUNNING"
    WAITING = "WAITING"
    COMPLETED = "COMPLETED"
    HANDED_OFF = "HANDED_OFF"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
