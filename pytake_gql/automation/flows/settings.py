"""What each kind of node is told: one model a kind, which `flowNodeSchema` prints."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pytake_gql.automation.flows.acting import (
    AiReplySettings,
    ApiCallSettings,
    HandoffSettings,
    SetVariableSettings,
    UpdateContactSettings,
    WaitSettings,
)
from pytake_gql.automation.flows.deciding import ConditionSettings, JumpSettings, OpeningHoursSettings, RandomSettings
from pytake_gql.automation.flows.fields import Settings
from pytake_gql.automation.flows.kinds import FlowNodeKind
from pytake_gql.automation.flows.speaking import EndSettings, MenuSettings, MessageSettings, QuestionSettings


class StartSettings(Settings):
    """Where a run begins."""


BY_KIND: Mapping[FlowNodeKind, type[Settings]] = MappingProxyType(
    {
        FlowNodeKind.START: StartSettings,
        FlowNodeKind.MESSAGE: MessageSettings,
        FlowNodeKind.MENU: MenuSettings,
        FlowNodeKind.QUESTION: QuestionSettings,
        FlowNodeKind.CONDITION: ConditionSettings,
        FlowNodeKind.RANDOM: RandomSettings,
        FlowNodeKind.OPENING_HOURS: OpeningHoursSettings,
        FlowNodeKind.SET_VARIABLE: SetVariableSettings,
        FlowNodeKind.UPDATE_CONTACT: UpdateContactSettings,
        FlowNodeKind.WAIT: WaitSettings,
        FlowNodeKind.API_CALL: ApiCallSettings,
        FlowNodeKind.AI_REPLY: AiReplySettings,
        FlowNodeKind.JUMP: JumpSettings,
        FlowNodeKind.HANDOFF: HandoffSettings,
        FlowNodeKind.END: EndSettings,
    }
)


def schema(kind: FlowNodeKind) -> dict[str, Any]:
    return BY_KIND[kind].model_json_schema()
