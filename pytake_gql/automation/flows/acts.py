"""What each kind of node does when a run enters it, and when what it waited for comes.

An act answers the way by which the node is left, or None where the run waits, has jumped or has ended.
"""

import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias
from urllib.parse import quote

from pytake_gql.automation.flows import answers, pointers, rules, talk, templates
from pytake_gql.automation.flows.acting import (
    AiReplySettings,
    ApiCallSettings,
    HandoffSettings,
    SetVariableSettings,
    UpdateContactSettings,
    WaitSettings,
)
from pytake_gql.automation.flows.deciding import (
    Branch,
    ConditionSettings,
    JumpSettings,
    OpeningHoursSettings,
    RandomSettings,
    Rule,
)
from pytake_gql.automation.flows.fields import CLOSED, DEFAULT, LONGEST_TEXT, NEXT, OPEN
from pytake_gql.automation.flows.kinds import FlowNodeKind
from pytake_gql.automation.flows.rules import Operator
from pytake_gql.automation.flows.run import AskAi, CallApi, HandOff, Replied, UpdateContact
from pytake_gql.automation.flows.speaking import EndSettings, MessageSettings
from pytake_gql.automation.flows.walk import MOST_JUMPS, Breach, Walk

_LONGEST_URL = 4000
_LONGEST_HEADER = 4000
_LONGEST_NOTE = 2000
_LONGEST_NAME = 120

Act: TypeAlias = Callable[[Walk, Any], str | None]


def _start(_walk: Walk, _told: Any) -> str:
    return NEXT


def _message(walk: Walk, told: MessageSettings) -> str:
    more: dict[str, Any] = {}
    if told.attachment_url is not None:
        more["attachment_url"] = _url(walk, told.attachment_url)
    if told.template_id is not None:
        more["template_id"] = told.template_id
        more["template_variables"] = tuple(walk.render(each, 1024) for each in told.template_variables)
    walk.say(walk.render(told.text or ""), **more)
    return NEXT


def _condition(walk: Walk, told: ConditionSettings) -> str:
    return next((branch.name for branch in told.branches if _holds(walk, branch)), DEFAULT)


def _holds(walk: Walk, branch: Branch) -> bool:
    decided = (_rule_holds(walk, rule) for rule in branch.rules)
    return all(decided) if branch.match == "ALL" else any(decided)


def _rule_holds(walk: Walk, rule: Rule) -> bool:
    known_missing = len(walk.scope.missing)
    left = templates.evaluate(rule.template, walk.scope)
    if rule.operator in rules.NEEDS_NO_RIGHT:  # whoever asks whether it is there does not miss it
        del walk.scope.missing[known_missing:]
    right = rule.right if rule.operator is Operator.MATCHES else templates.evaluate_json(rule.right, walk.scope)
    return rules.holds(left, rule.operator, right)


def _random(walk: Walk, told: RandomSettings) -> str:
    drawn = random.Random(f"{walk.around.seed}/{walk.steps}")
    names = [branch.name for branch in told.branches]
    return drawn.choices(names, [branch.weight for branch in told.branches])[0]


def _opening_hours(walk: Walk, told: OpeningHoursSettings) -> str:
    return OPEN if walk.around.is_open(told.queue_id, walk.around.now) else CLOSED


def _set_variable(walk: Walk, told: SetVariableSettings) -> str:
    walk.set(told.variable, templates.evaluate(told.value, walk.scope))
    return NEXT


def _update_contact(walk: Walk, told: UpdateContactSettings) -> str:
    """What does not fit is left out: nobody is there to mend it."""
    name = walk.render(told.name, _LONGEST_NAME).strip() if told.name else None
    email = answers.email(walk.render(told.email, 500)) if told.email else None
    phone = answers.phone(walk.render(told.phone, 100), walk.around.region) if told.phone else None
    attributes = {key: templates.evaluate(value, walk.scope) for key, value in told.attributes.items()}
    known = {key: value for key, value in attributes.items() if value is not None}
    update = UpdateContact(
        walk.node_id or "",
        name=name if name and name.isprintable() else None,
        email=email,
        phone=phone,
        attributes={key: value[:2000] if isinstance(value, str) else value for key, value in known.items()},
        add_tag_ids=tuple(told.add_tag_ids),
        remove_tag_ids=tuple(told.remove_tag_ids),
        opt_out=told.opt_out,
    )
    walk.effects.append(update)
    walk.scope.learn(update.values())  # the nodes that follow in this step know the contact as it is now
    return NEXT


def _wait(walk: Walk, told: WaitSettings) -> None:
    walk.wait_for_time(told.seconds)


def _call_api(walk: Walk, told: ApiCallSettings) -> None:
    headers = {name: _line(walk.render(value, _LONGEST_HEADER)) for name, value in told.headers.items()}
    body = templates.evaluate_json(told.body, walk.scope)
    walk.effects.append(
        CallApi(
            number=walk.wait_for_effect(),
            node_id=walk.node_id or "",
            method=told.method,
            url=_url(walk, told.url),
            headers=headers,
            body=templates.shown(body) if isinstance(told.body, str) else body,
            timeout_seconds=told.timeout_seconds,
        )
    )


def _url(walk: Walk, template: str) -> str:
    return templates.render_with(template, walk.scope, _LONGEST_URL, lambda text: quote(text, safe=""))


def _line(text: str) -> str:
    """A value that a contact wrote starts no header of its own."""
    return "".join(character if character.isprintable() else " " for character in text).strip()


def _ask_ai(walk: Walk, told: AiReplySettings) -> None:
    walk.effects.append(AskAi(walk.wait_for_effect(), walk.node_id or "", walk.render(told.instruction)))


def _jump(walk: Walk, told: JumpSettings) -> str | None:
    """It has no ways out: it goes itself."""
    if told.flow_id is None:
        return None
    if told.flow_id not in walk.graphs:
        raise Breach("The flow that this leads to is not published.")
    if len(walk.jumps) >= MOST_JUMPS:
        raise Breach("The run jumps through more than {most} flows.", most=MOST_JUMPS)
    walk.jumps, walk.flow_id = (*walk.jumps, walk.flow_id), told.flow_id
    return None


def _hand_off(walk: Walk, told: HandoffSettings) -> None:
    note = walk.render(told.note, _LONGEST_NOTE).strip() if told.note else None
    walk.hand_off(HandOff(walk.node_id, told.queue_id, told.department_id, told.member_id, told.priority, note or None))


def _end(walk: Walk, told: EndSettings) -> None:
    if told.text is not None:
        walk.say(walk.render(told.text))
    walk.finish()


def _answered(walk: Walk, told: ApiCallSettings, result: Any) -> str:
    for variable, pointer in told.save.items():
        walk.set(variable, pointers.as_value(pointers.look_up(result, pointer)))
    return NEXT


def _ai_answered(walk: Walk, told: AiReplySettings, result: Any) -> str:
    text = templates.shown(pointers.as_value(result))[:LONGEST_TEXT]
    if told.variable is not None:
        walk.set(told.variable, text)
    if told.send:
        walk.say(text)
    return NEXT


ENTER: Mapping[FlowNodeKind, Act] = MappingProxyType(
    {
        FlowNodeKind.START: _start,
        FlowNodeKind.MESSAGE: _message,
        FlowNodeKind.MENU: talk.offer,
        FlowNodeKind.QUESTION: talk.ask,
        FlowNodeKind.CONDITION: _condition,
        FlowNodeKind.RANDOM: _random,
        FlowNodeKind.OPENING_HOURS: _opening_hours,
        FlowNodeKind.SET_VARIABLE: _set_variable,
        FlowNodeKind.UPDATE_CONTACT: _update_contact,
        FlowNodeKind.WAIT: _wait,
        FlowNodeKind.API_CALL: _call_api,
        FlowNodeKind.AI_REPLY: _ask_ai,
        FlowNodeKind.JUMP: _jump,
        FlowNodeKind.HANDOFF: _hand_off,
        FlowNodeKind.END: _end,
    }
)
REPLIED: Mapping[FlowNodeKind, Callable[[Walk, Any, Replied], str | None]] = MappingProxyType(
    {FlowNodeKind.MENU: talk.choose, FlowNodeKind.QUESTION: talk.take}
)
SUCCEEDED: Mapping[FlowNodeKind, Callable[[Walk, Any, Any], str]] = MappingProxyType(
    {FlowNodeKind.API_CALL: _answered, FlowNodeKind.AI_REPLY: _ai_answered}
)
