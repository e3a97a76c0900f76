"""MENU and QUESTION: what they say, and what they make of a reply."""

from pytake_gql.automation.flows import answers, patterns
from pytake_gql.automation.flows.answers import QuestionType
from pytake_gql.automation.flows.fields import INVALID, NEXT
from pytake_gql.automation.flows.run import Option, Replied
from pytake_gql.automation.flows.speaking import MenuSettings, QuestionSettings
from pytake_gql.automation.flows.templates import Value
from pytake_gql.automation.flows.walk import Walk

LONGEST_TITLE = 120


def offer(walk: Walk, told: MenuSettings) -> None:
    walk.say(walk.render(told.text), _options(walk, told))
    walk.wait_for_reply(told.timeout_seconds)


def choose(walk: Walk, told: MenuSettings, reply: Replied) -> str | None:
    offered = [(option.value, option.title) for option in _options(walk, told)]
    value = answers.chosen(reply.text, reply.chosen, offered)
    if value is not None:
        if told.variable is not None:
            walk.set(told.variable, value)
        return value
    return _again(walk, told, answers.complaint(QuestionType.CHOICE, walk.around.locale), _options(walk, told))


def ask(walk: Walk, told: QuestionSettings) -> None:
    walk.say(walk.render(told.text), _choices(told))
    walk.wait_for_reply(told.timeout_seconds)


def take(walk: Walk, told: QuestionSettings, reply: Replied) -> str | None:
    answer = _answer(walk, told, reply)
    if answer is not None:
        walk.set(told.variable, answer)
        return NEXT
    complaint = walk.render(told.error_text) if told.error_text else answers.complaint(told.type, walk.around.locale)
    return _again(walk, told, complaint, _choices(told))


def _answer(walk: Walk, told: QuestionSettings, reply: Replied) -> Value:
    if told.pattern is not None and not patterns.matches_whole(told.pattern, reply.text.strip()[: answers.LONGEST]):
        return None
    if told.type is QuestionType.CHOICE:
        return answers.chosen(reply.text, reply.chosen, [(choice, choice) for choice in told.choices or ()])
    return answers.read(reply.text, told.type, walk.around.region)


def _again(
    walk: Walk, told: MenuSettings | QuestionSettings, complaint: str, options: tuple[Option, ...]
) -> str | None:
    walk.attempts += 1
    if walk.attempts >= told.attempts:
        return INVALID
    walk.say(complaint, options)
    walk.wait_for_reply(told.timeout_seconds)
    return None


def _options(walk: Walk, told: MenuSettings) -> tuple[Option, ...]:
    return tuple(Option(each.value, walk.render(each.title, LONGEST_TITLE)) for each in told.options)


def _choices(told: QuestionSettings) -> tuple[Option, ...]:
    return tuple(Option(choice, choice) for choice in told.choices or ())
