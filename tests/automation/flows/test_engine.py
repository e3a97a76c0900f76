"""What each kind of node does, step by step (F1, F4)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from pytake_gql.automation.flows import engine
from pytake_gql.automation.flows.kinds import FlowRunStatus
from pytake_gql.automation.flows.run import (
    AskAi,
    Awaited,
    CallApi,
    EffectFailed,
    EffectSucceeded,
    Finish,
    HandOff,
    Option,
    Replied,
    RunState,
    Say,
    Started,
    TimedOut,
    UpdateContact,
)
from pytake_gql.automation.flows.walk import EXPIRES_AFTER
from pytake_gql.desk.conversations.models import ConversationPriority
from tests.automation.flows.drawing import FLOW, NOW, around, edge, node, parsed, play, said, ways

OTHER = UUID("0198c7f2-8d5e-7cc1-9f3e-000000000002")
QUEUE = UUID("0198c7f2-8d5e-7cc1-9f3e-000000000003")
TAG = UUID("0198c7f2-8d5e-7cc1-9f3e-000000000004")
MENU = node("menu", "MENU", text="Which?", variable="wish", timeoutSeconds=60, attempts=2,
            options=[{"value": "buy", "title": "I buy"}, {"value": "sell", "title": "I sell"}])  # fmt: skip
BYE = node("bye", "END", text="Bye, {{wish}}{{answer}}!")
AFTER_MENU = [edge("start", "menu"), edge("menu", "bye", "buy"), edge("menu", "bye", "sell")]


def test_f1_start_and_message_say_and_end() -> None:
    step = play(
        parsed(
            node("hello", "MESSAGE", text="Hi {{contact.name}}"),
            node("file", "MESSAGE", attachmentUrl="https://example.com/{{x}}.pdf"),
        ),
        values={"contact.name": "Ana {{contact.email}}", "contact.email": "a@example.com"},
        variables={"x": "a b/c"},
    )
    assert step.effects == (
        Say("hello", "Hi Ana {{contact.email}}"),
        Say("file", "", attachment_url="https://example.com/a%20b%2Fc.pdf"),
        Finish(),
    )
    assert step.state.status is FlowRunStatus.COMPLETED
    assert ways(step) == [("start", "next"), ("hello", "next"), ("file", "next")]


def test_a_message_may_be_a_template() -> None:
    id_ = "MessageTemplate_" + OTHER.hex
    step = play(
        parsed(node("hello", "MESSAGE", templateId=id_, templateVariables=["{{x}}", "b"])), variables={"x": 3.0}
    )
    assert step.effects[0] == Say("hello", "", template_id=OTHER, template_variables=("3", "b"))


@pytest.mark.parametrize(
    "reply",
    [Replied("", "sell"), Replied("i SELL "), Replied("2"), Replied("2."), Replied("sell"), Replied("buy", "sell")],
)
def test_a_menu_understands_taps_titles_numbers_and_values(reply: Replied) -> None:
    first = play(parsed(MENU, BYE, edges=AFTER_MENU))
    assert first.effects == (Say("menu", "Which?", (Option("buy", "I buy"), Option("sell", "I sell"))),)
    assert (first.state.status, first.state.awaits) == (FlowRunStatus.WAITING, Awaited.REPLY)
    assert first.state.wake_at == NOW + timedelta(seconds=60)
    step = play(parsed(MENU, BYE, edges=AFTER_MENU), reply)
    assert (said(step.effects), step.state.variables) == (["Bye, sell!"], {"wish": "sell"})
    assert ways(step) == [("menu", "sell"), ("bye", None)]
    assert [passed.is_continued for passed in step.path] == [True, False]


def test_a_menu_asks_again_and_then_is_left_by_invalid_to_people() -> None:
    of = parsed(MENU, BYE, edges=AFTER_MENU)
    again = play(of, Replied("3"))
    assert said(again.effects) == ["Sorry, I did not understand. Please choose one of the options."]
    assert isinstance(again.effects[0], Say)
    assert len(again.effects[0].options) == 2
    assert (again.state.attempts, again.path) == (1, ())
    step = play(of, Replied("3"), Replied("no"))
    assert (step.state.status, step.effects, ways(step)) == (
        FlowRunStatus.HANDED_OFF,
        (HandOff("menu"),),
        [("menu", "invalid")],
    )


def test_f3_a_reply_that_takes_too_long_leaves_by_timeout() -> None:
    of, late = parsed(MENU, BYE, edges=[*AFTER_MENU, edge("menu", "bye", "timeout")]), NOW + timedelta(seconds=60)
    waiting = play(of).state
    early = engine.step({FLOW: of}, waiting, TimedOut(), around(now=late - timedelta(seconds=1)))
    assert (early.is_ignored, early.state, early.effects) == (True, waiting, ())
    step = engine.step({FLOW: of}, waiting, TimedOut(), around(now=late))
    assert (said(step.effects), ways(step)[0]) == (["Bye, !"], ("menu", "timeout"))
    assert step.missing == (("bye", "wish"), ("bye", "answer"))


def test_f3_nobody_answers_for_a_week_and_the_run_expires() -> None:
    of = parsed(node("q", "QUESTION", text="?", variable="answer", type="TEXT"))
    waiting = play(of).state
    assert (waiting.wake_at, waiting.expires) == (NOW + EXPIRES_AFTER, True)
    step = engine.step({FLOW: of}, waiting, TimedOut(), around(now=NOW + EXPIRES_AFTER))
    assert (step.state.status, step.effects, step.state.wake_at) == (FlowRunStatus.EXPIRED, (Finish(),), None)


@pytest.mark.parametrize(
    ("settings", "reply", "kept"),
    [
        ({"type": "TEXT"}, " Ana ", "Ana"),
        ({"type": "TEXT"}, "   ", None),
        ({"type": "TEXT", "pattern": "[0-9]{4}"}, "1234", "1234"),
        ({"type": "TEXT", "pattern": "[0-9]{4}"}, "12345", None),
        ({"type": "NUMBER"}, "1.234,5", 1234.5),
        ({"type": "NUMBER"}, "12 apples", None),
        ({"type": "EMAIL"}, " Ana@Example.com ", "ana@example.com"),
        ({"type": "EMAIL"}, "ana@", None),
        ({"type": "PHONE"}, "(11) 98765-4321", "+5511987654321"),
        ({"type": "PHONE"}, "12", None),
        ({"type": "DATE"}, "8/3/2026", "2026-03-08"),
        ({"type": "DATE"}, "2026-03-08", "2026-03-08"),
        ({"type": "DATE"}, "31/02/2026", None),
        ({"type": "CHOICE", "choices": ["Red", "Blue"]}, "2", "Blue"),
        ({"type": "CHOICE", "choices": ["Red", "Blue"]}, "red", "Red"),
        ({"type": "CHOICE", "choices": ["Red", "Blue"]}, "Green", None),
    ],
)
def test_a_question_keeps_an_answer_of_its_type(settings: dict[str, Any], reply: str, kept: Any) -> None:
    of = parsed(node("q", "QUESTION", text="?", variable="answer", errorText="Not so.", **settings), BYE)
    step = play(of, Replied(reply))
    if kept is None:
        assert (said(step.effects), step.state.node_id, step.state.variables) == (["Not so."], "q", {})
    else:
        assert (step.state.variables, step.state.status) == ({"answer": kept}, FlowRunStatus.COMPLETED)


def test_a_question_says_what_it_needs_in_the_organizations_language() -> None:
    of = parsed(node("q", "QUESTION", text="?", variable="answer", type="DATE"), BYE)
    assert said(play(of, Replied("?")).effects) == ["Sorry, I need a date, such as 31/12/2026."]
    assert said(play(of, Replied("?"), locale="pt-BR").effects) == ["Desculpe, preciso de uma data, como 31/12/2026."]


@pytest.mark.parametrize(
    ("age", "left_by"), [(17, "young"), ("17", "young"), (70, "old"), (30, "default"), (None, "default")]
)
def test_a_condition_goes_by_the_first_branch_that_holds(age: Any, left_by: str) -> None:
    def rule(operator: str, right: Any) -> dict[str, Any]:
        return {"left": "{{age}}", "operator": operator, "right": right}

    branches = [
        {"name": "young", "match": "ALL", "rules": [rule("LESS", 18), {"left": "age", "operator": "IS_SET"}]},
        {"name": "old", "match": "ANY", "rules": [rule("GREATER", 65), rule("IN", ["old", 66])]},
    ]
    of = parsed(node("c", "CONDITION", branches=branches))
    step = play(of, variables={"age": age})
    assert ways(step) == [("start", "next"), ("c", left_by)]
    ends = FlowRunStatus.HANDED_OFF if left_by == "default" else FlowRunStatus.COMPLETED
    assert step.state.status is ends


def test_random_draws_by_weight_and_the_same_for_a_seed() -> None:
    of = parsed(node("r", "RANDOM", branches=[{"name": "a", "weight": 1}, {"name": "b", "weight": 3}]))
    drawn = [ways(play(of, seed=seed))[-1][1] for seed in range(400)]
    assert drawn == [ways(play(of, seed=seed))[-1][1] for seed in range(400)]
    assert 60 < drawn.count("a") < 140


def test_opening_hours_asks_the_queue_named_at_this_instant() -> None:
    asked: list[Any] = []

    def is_open(*question: Any) -> bool:
        asked.append(question)
        return len(asked) == 1

    of = parsed(node("h", "OPENING_HOURS"), edges=[edge("start", "h")])
    assert ways(play(of, is_open=is_open))[-1] == ("h", "open")
    of = parsed(node("h", "OPENING_HOURS", queueId=f"Queue_{QUEUE.hex}"), edges=[edge("start", "h")])
    assert ways(play(of, is_open=is_open))[-1] == ("h", "closed")
    assert asked == [(None, NOW), (QUEUE, NOW)]


@pytest.mark.parametrize(
    ("value", "kept"),
    [("{{n}}", 5), (" {{n}} ", 5), ("{{n}}!", "5!"), (7, 7), (True, True), ("{{gone}}", None), (None, None)],
)
def test_set_variable_keeps_the_type_of_a_value(value: Any, kept: Any) -> None:
    step = play(parsed(node("s", "SET_VARIABLE", variable="x", value=value)), variables={"n": 5, "x": "before"})
    assert step.state.variables.get("x") == kept


def test_update_contact_keeps_what_fits_and_what_follows_knows_it() -> None:
    update = node("u", "UPDATE_CONTACT", name="{{name}}", email="{{email}}", phone="11987654321", optOut=True,
                  attributes={"age": "{{age}}", "gone": "{{gone}}"}, addTagIds=[f"Tag_{TAG.hex}"])  # fmt: skip
    of = parsed(update, node("m", "MESSAGE", text="{{contact.name}}/{{contact.email}}/{{contact.attributes.age}}"))
    step = play(
        of, variables={"name": "Ana", "email": "no address", "age": 30}, values={"contact.email": "old@example.com"}
    )
    assert step.effects[0] == UpdateContact("u", "Ana", None, "+5511987654321", {"age": 30}, (TAG,), (), opt_out=True)
    assert said(step.effects) == ["Ana/old@example.com/30"]


def test_f3_wait_sleeps_in_the_state_and_goes_on_when_it_is_woken() -> None:
    of = parsed(node("w", "WAIT", seconds=3600), BYE)
    waiting = play(of).state
    assert (waiting.awaits, waiting.wake_at) == (Awaited.TIME, NOW + timedelta(hours=1))
    assert engine.step({FLOW: of}, waiting, Replied("Hello?"), around()).is_ignored
    step = engine.step({FLOW: of}, waiting, TimedOut(), around(now=NOW + timedelta(hours=1)))
    assert ways(step) == [("w", "next"), ("bye", None)]
    assert step.path[0].entered_at == NOW


CALL = node("api", "API_CALL", method="POST", url="https://api.example.com/{{x}}", headers={"X-Who": "{{who}}"},
            body={"who": "{{who}}", "n": "{{n}}"}, save={"status": "/a/0/s~1t", "all": "/a", "none": "/b"})  # fmt: skip


def test_f1_an_api_call_is_one_effect_and_its_answer_is_data() -> None:
    of = parsed(CALL, node("m", "MESSAGE", text="{{status}}"))
    asked = play(of, variables={"x": "a/../b", "who": "Eve\r\nX-Evil: 1", "n": 2})
    assert asked.effects == (
        CallApi(
            number=1,
            node_id="api",
            method="POST",
            url="https://api.example.com/a%2F..%2Fb",
            headers={"X-Who": "Eve  X-Evil: 1"},
            body={"who": "Eve\r\nX-Evil: 1", "n": 2},
            timeout_seconds=10,
        ),
    )
    assert (asked.state.awaits, asked.state.wake_at) == (Awaited.EFFECT, None)
    answer = {"a": [{"s/t": "{{who}} sent"}]}
    step = play(of, EffectSucceeded(1, answer))
    assert step.state.variables == {"status": "{{who}} sent", "all": '[{"s/t":"{{who}} sent"}]'}
    assert said(step.effects) == ["{{who}} sent"]


@pytest.mark.parametrize("stray", [EffectSucceeded(2), EffectFailed(0, "late"), Replied("Hi"), TimedOut(), Started()])
def test_f1_what_is_not_awaited_changes_nothing(stray: Any) -> None:
    of = parsed(CALL)
    before = play(of)
    step = engine.step({FLOW: of}, before.state, stray, around())
    assert (step.is_ignored, step.state, step.effects, step.path) == (True, before.state, (), ())


def test_a_failed_call_leaves_by_error_and_says_why() -> None:
    step = play(parsed(CALL), EffectFailed(1, "HTTP 500"))
    assert [(passed.left_by, passed.error) for passed in step.path] == [("error", "HTTP 500")]
    assert (step.state.status, step.effects) == (FlowRunStatus.HANDED_OFF, (HandOff("api"),))


def test_an_ai_answers_and_its_answer_is_kept_and_said() -> None:
    of = parsed(node("ai", "AI_REPLY", instruction="Be kind to {{who}}.", variable="answer"), BYE)
    assert play(of, variables={"who": "Ana"}).effects == (AskAi(1, "ai", "Be kind to Ana."),)
    assert said(play(of, EffectSucceeded(1, "Sure.")).effects) == ["Sure.", "Bye, Sure.!"]
    silent = parsed(node("ai", "AI_REPLY", instruction="Sum up.", variable="answer", send=False), BYE)
    assert said(play(silent, EffectSucceeded(1, "Sure.")).effects) == ["Bye, Sure.!"]


def test_a_jump_leads_to_a_node_or_another_flow() -> None:
    inside = parsed(node("j", "JUMP", nodeId="bye"), BYE, edges=[edge("start", "j")])
    assert ways(play(inside)) == [("start", "next"), ("j", None), ("bye", None)]
    outside = parsed(node("j", "JUMP", flowId=f"Flow_{OTHER.hex}"))
    step = play(outside, graphs={OTHER: parsed(BYE)})
    assert [(passed.flow_id, passed.node_id) for passed in step.path] == [
        (FLOW, "start"),
        (FLOW, "j"),
        (OTHER, "start"),
        (OTHER, "bye"),
    ]
    assert (step.state.flow_id, step.state.jumps) == (OTHER, (FLOW,))


def test_a_handoff_names_whom_and_why() -> None:
    step = play(
        parsed(node("h", "HANDOFF", queueId=f"Queue_{QUEUE.hex}", priority="HIGH", note="About {{x}}")),
        variables={"x": "the bill"},
    )
    assert step.effects == (HandOff("h", QUEUE, priority=ConversationPriority.HIGH, note="About the bill"),)
    assert step.state.status is FlowRunStatus.HANDED_OFF


def breach(step: Any) -> tuple[FlowRunStatus, str | None, str | None]:
    assert step.effects[-1] == HandOff(step.state.node_id, note=step.state.error)
    assert step.path[-1].error == step.state.error
    return step.state.status, step.state.node_id, step.state.error


def test_f4_a_circle_without_a_wait_fails_after_25_visits_or_50_steps() -> None:
    of = parsed(node("a", "SET_VARIABLE", variable="x", value=1), edges=[edge("start", "a"), edge("a", "a")])
    step = play(of)
    assert breach(step) == (FlowRunStatus.FAILED, "a", "The run comes to this node more than 25 times.")
    many = [node(f"n{index}", "SET_VARIABLE", variable="x", value=1) for index in range(60)]
    assert breach(play(parsed(*many)))[1:] == ("n49", "The run takes more than 50 steps without a wait.")


def test_f4_a_run_takes_500_steps_at_most() -> None:
    of = parsed(*[node(f"w{index}", "WAIT", seconds=1) for index in range(499)])
    state, now = play(of).state, NOW
    for _ in range(498):
        now += timedelta(seconds=1)
        state = engine.step({FLOW: of}, state, TimedOut(), around(now=now)).state
    assert (state.status, state.node_id, state.steps) == (FlowRunStatus.WAITING, "w498", 500)
    tired = replace(state, node_id="w497")
    failed = engine.step({FLOW: of}, tired, TimedOut(), around(now=now + timedelta(seconds=1)))
    assert breach(failed)[2] == "The run takes more than 500 steps."


@pytest.mark.parametrize("size", [64 * 1024, 1024 * 1024])
def test_f4_variables_hold_64_kib_at_most(size: int) -> None:
    step = engine.step({FLOW: parsed(BYE)}, RunState.begin(FLOW, {"x": "a" * size}), Started(), around())
    assert (step.state.status, step.state.error) == (
        FlowRunStatus.FAILED,
        "The variables hold more than 64 KiB.",
    )
    double = node("d", "SET_VARIABLE", variable="y", value="{{x}}{{x}}")
    assert breach(play(parsed(double), variables={"x": "a" * 40_000}))[1] == "d"


def test_f4_texts_do_not_swell() -> None:
    body = {str(index): "{{x}}" for index in range(100)}
    of = parsed(node("api", "API_CALL", method="POST", url="https://example.com", body=body))
    step = play(of, variables={"x": "a" * 60_000})
    assert breach(step) == (FlowRunStatus.FAILED, "api", "The values in this node's texts are too long.")
    long = play(parsed(node("m", "MESSAGE", text="{{x}}" * 500)), variables={"x": "a" * 2000})
    assert [len(text) for text in said(long.effects)] == [4096]


def test_f4_flows_call_each_other_8_deep_at_most() -> None:
    there, back = (
        parsed(node("j", "JUMP", flowId=f"Flow_{OTHER.hex}")),
        parsed(node("k", "JUMP", flowId=f"Flow_{FLOW.hex}")),
    )
    step = play(there, graphs={OTHER: back})
    assert breach(step) == (FlowRunStatus.FAILED, "j", "The run jumps through more than 8 flows.")
    assert len(step.state.jumps) == 8


def test_a_jump_into_nowhere_fails_and_hands_off() -> None:
    step = play(parsed(node("j", "JUMP", flowId=f"Flow_{OTHER.hex}")))
    assert breach(step) == (FlowRunStatus.FAILED, "j", "The flow that this leads to is not published.")


def test_a_state_of_another_graph_fails_instead_of_raising() -> None:
    waiting = play(parsed(MENU, BYE, edges=AFTER_MENU)).state
    for other in (parsed(BYE), parsed(node("menu", "WAIT", seconds=1))):
        step = engine.step({FLOW: other}, waiting, Replied("1"), around())
        assert (step.state.status, step.state.error) == (
            FlowRunStatus.FAILED,
            "The node that this leads to is not there.",
        )
    step = engine.step({}, waiting, Replied("1"), around())
    assert step.state.error == "The flow that this leads to is not published."
