"""What kinds of nodes there are."""

from enum import StrEnum


class FlowNodeKind(StrEnum):
    """What a node does."""

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
