"""Templates, rules, patterns, pointers and answers (F7): pure tables of cases."""

import time
from typing import Any

import pytest

from pytake_gql.automation.flows import answers, patterns, pointers, rules, templates
from pytake_gql.automation.flows.answers import QuestionType
from pytake_gql.automation.flows.rules import Operator
from pytake_gql.automation.flows.templates import Scope


def scope(**variables: Any) -> Scope:
    return Scope({"contact.name": "Ana", "contact.attributes.Meu campo": 3.0}, variables)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Hi {{contact.name}}{{ x }}", "Hi Ana{{y}}"),
        ("{{contact.attributes.Meu campo}}", "3"),
        ("{{gone}}|{{true}}|{{half}}", "|true|0.5"),
        ("{{x", "{{x"),
        ("{x} }} {{", "{x} }} {{"),
        ("{{{x}}}", "{{{y}}}"),
        ("{{contact.__class__}}{{contact.name.upper}}{{''.__class__}}", ""),
        ("{{}}", ""),
        ("%s {0} {contact} ${x}", "%s {0} {contact} ${x}"),
    ],
)
def test_f7_substitution_is_one_pass_over_given_names(template: str, text: str) -> None:
    assert templates.render(template, scope(x="{{y}}", y="no", true=True, half=0.5)) == text


def test_f7_what_is_missing_is_empty_and_told_once() -> None:
    known = scope()
    assert templates.render("{{a}}{{b}}{{a}}", known) == ""
    assert known.missing == ["a", "b"]


def test_f7_templates_take_bounded_time() -> None:
    hostile = ["{{" * 30_000, "{" * 60_000, "{{" + " " * 60_000, "{{a}}" * 12_000, "{{" + "a" * 60_000 + "}}"]
    began = time.process_time()
    for template in hostile:
        templates.render(template, scope(a="x" * 60))
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    ("left", "operator", "right", "is_so"),
    [
        ("Yes ", "EQUALS", "yes", True),
        ("1.0", "EQUALS", 1, True),
        ("1a", "EQUALS", 1, False),
        (True, "EQUALS", "true", True),
        (True, "EQUALS", 1, False),
        (None, "EQUALS", "", True),
        ("a", "NOT_EQUALS", "b", True),
        ("a", "NOT_EQUALS", "A", False),
        ("Ação", "CONTAINS", "çÃ", True),
        ("abc", "CONTAINS", "", False),
        (None, "CONTAINS", "a", False),
        (1234, "CONTAINS", 23, True),
        ("abc", "STARTS_WITH", "AB", True),
        ("abc", "STARTS_WITH", "bc", False),
        ("10", "GREATER", "9", True),
        (10, "GREATER", 10, False),
        ("b", "GREATER", "a", False),
        ("2026-03-09", "GREATER", "2026-03-08", True),
        ("2026-03-09", "LESS", "2026-03-08", False),
        (None, "LESS", 1, False),
        ("x", "LESS", 1, False),
        ("-3,5", "LESS", 0, False),
        ("-3.5", "LESS", 0, True),
        ("order 1234", "MATCHES", "[0-9]{4}", True),
        ("order 12", "MATCHES", "[0-9]{4}", False),
        (None, "MATCHES", "^$", True),
        ("a", "IS_SET", None, True),
        (" ", "IS_SET", None, False),
        (0, "IS_SET", None, True),
        (None, "IS_EMPTY", None, True),
        (False, "IS_EMPTY", None, False),
        ("B", "IN", ("a", "b"), True),
        ("2", "IN", (1, 2), True),
        ("c", "IN", ("a", "b"), False),
        ("c", "IN", "c", True),
        ("c", "IN", (), False),
    ],
)
def test_f7_comparisons_are_typed(left: Any, operator: str, right: Any, is_so: bool) -> None:
    assert rules.holds(left, Operator(operator), right) is is_so


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(a|aa)+$", "(.*)(.*)(.*)(.*)(.*)x", "(x+x+)+y"])
def test_f6_a_catastrophic_pattern_takes_linear_time(pattern: str) -> None:
    began = time.process_time()
    assert not patterns.matches_whole(pattern, "a" * 4000 + "!")
    assert not patterns.matches_inside(f"^{pattern}$", "x" * 4000 + "!")
    assert time.process_time() - began < 0.2


DOCUMENT = {"a": [{"b/c": 1, "d~e": None, "": 2}], "n": 1.5}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [("/a/0/b~1c", 1), ("/a/0/d~0e", None), ("/a/0/", 2), ("/a/1", None), ("/a/-1", None), ("/a/00", None),
     ("/a/-", None), ("/n/real", None), ("/a/b", None), ("/x/y", None), ("", DOCUMENT), ("/a/99999999999", None)],
)  # fmt: skip
def test_json_pointers(pointer: str, value: Any) -> None:
    assert pointers.is_pointer(pointer)
    assert pointers.look_up(DOCUMENT, pointer) == value


@pytest.mark.parametrize("pointer", ["a", "a/b", "/a~2", "/a~", "$.a", "/" + "a" * 200])
def test_what_is_no_json_pointer(pointer: str) -> None:
    assert not pointers.is_pointer(pointer)


@pytest.mark.parametrize("document", [None, 1, "text", [], True])
def test_a_pointer_into_nothing_finds_nothing(document: Any) -> None:
    assert pointers.look_up(document, "/a/0") is None


@pytest.mark.parametrize(
    ("said", "region", "value"),
    [("1.500", "BR", 1500), ("1.500", "US", 1.5), ("1,500", "BR", 1.5), ("1,500", "US", 1500),
     ("1.234,56", "US", 1234.56),
     ("1,234.56", "BR", 1234.56), ("3.5", "BR", 3.5), ("0.500", "BR", 0.5), ("-12", "BR", -12),
     ("1.234.567", "BR", 1234567),
     ("1 000", "BR", 1000), ("1,2,3", "BR", None), ("", "BR", None), ("٣", "BR", None), ("1e5", "BR", None),
     ("9" * 16, "BR", None), ("1.2.3", "BR", None), ("12.34,5", "BR", None)],
)  # fmt: skip
def test_numbers_are_read_as_people_write_them(said: str, region: str, value: Any) -> None:
    assert answers.read(said, QuestionType.NUMBER, region) == value


def test_an_option_is_found_by_title_before_value_before_number() -> None:
    options = [("2", "One"), ("1", "2"), ("x", "3")]
    assert answers.chosen("2", None, options) == "1"
    assert answers.chosen("1", None, options) == "1"
    assert answers.chosen("3", None, options) == "x"
    assert answers.chosen("9" * 5000, None, options) is None
