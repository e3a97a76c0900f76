"""Cron texts: what is taken, what is refused with which reason, and that no text takes long (S10-S13)."""

import random
import string
import time
from zoneinfo import available_timezones

import pytest
import pytz
from hypothesis import given, settings
from hypothesis import strategies as st

from pytake_gql.automation.flow_automations import checks, cron, cron_words, previews
from pytake_gql.kernel.errors import Refusal, UserErrorCode
from tests.automation.flow_automations.made import NEW_YORK, SAO_PAULO, at, schedule, told

NOW = at("2026-11-24T18:00")


def refusal(text: str) -> str:
    with pytest.raises(Refusal) as refused:
        checks.cron_text(text)
    (problem,) = refused.value.problems
    assert problem.field == ("expression",)
    return problem.message("en")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "This is required."),
        (" \t ", "This is required."),
        ("0 9 * *", "Five fields are needed (minute, hour, day of month, month, day of week), not 4."),
        ("0 9 * * * 0", "Five fields are needed (minute, hour, day of month, month, day of week), not 6."),
        ("0 0 9 * * * 2026", "Five fields are needed (minute, hour, day of month, month, day of week), not 7."),
        ("@every 5m", "Words such as @daily are not understood: write the five fields."),
        ("@daily", "Words such as @daily are not understood: write the five fields."),
        ("H 9 * * *", "Field 1: H, R, W and ? of other crons are not understood."),
        ("H(0-29)/10 9 * * *", "Field 1: H, R, W and ? of other crons are not understood."),
        ("R 9 * * *", "Field 1: H, R, W and ? of other crons are not understood."),
        ("0 9 15W * *", "Field 3: H, R, W and ? of other crons are not understood."),
        ("0 9 ? * *", "Field 3: H, R, W and ? of other crons are not understood."),
        ("0 9 LW * *", "Field 3: L stands alone, as the last day in the day of month."),
        ("0 9 L-3 * *", "Field 3: L stands alone, as the last day in the day of month."),
        ("0 9 * * FRIL", "Field 5: L stands alone, as the last day in the day of month."),
        ("0 9 * * L5", "Field 5: L stands alone, as the last day in the day of month."),
        ("0 22-2 * * *", "Field 2: the range 22-2 runs backwards."),
        ("0 9 * * FRI-MON", "Field 5: the range FRI-MON runs backwards."),
        ("0 9 * DEC-JAN *", "Field 4: the range DEC-JAN runs backwards."),
        ("*/60 9 * * *", "Field 1: the step 60 is beyond the field's range."),
        ("0 */24 * * *", "Field 2: the step 24 is beyond the field's range."),
        ("*/0 9 * * *", "Field 1: a step is at least 1."),
        ("0,,30 9 * * *", "Field 1: an item of the list is empty."),
        ("0, 9 * * *", "Field 1: an item of the list is empty."),
        ("60 9 * * *", "Field 1: 60 is outside 0 to 59."),
        ("0 24 * * *", "Field 2: 24 is outside 0 to 23."),
        ("0 9 0 * *", "Field 3: 0 is outside 1 to 31."),
        ("0 9 32 * *", "Field 3: 32 is outside 1 to 31."),
        ("0 9 * 13 *", "Field 4: 13 is outside 1 to 12."),
        ("0 9 * * 8", "Field 5: 8 is outside 0 to 7."),
        ("0 9 * * FRI#6", "Field 5: after # stands 1 to 5, not 6."),
        ("0 9 * * FRI#0", "Field 5: after # stands 1 to 5, not 0."),
        ("0 9 1#2 * *", "Field 3: # belongs to the day of week, such as FRI#1."),
        ("0 9 * * #", "Field 5: # is not understood."),
        ("0 9 * * FOO", "Field 5: FOO is not understood."),
        ("0 9 * MON *", "Field 4: MON is not understood."),
        ("-1 9 * * *", "Field 1: -1 is not understood."),
        ("1.5 9 * * *", "Field 1: 1.5 is not understood."),
        ("*-5 9 * * *", "Field 1: *-5 is not understood."),
        (f"{'9' * 100} 9 * * *", f"Field 1: {'9' * 20} is not understood."),
        ("999999999 9 * * *", "Field 1: 999999999 is outside 0 to 59."),
        ("0 9 * * *" + " " * 200 + "1", "At most 128 characters."),
        ("٠ 9 * * *", "A cron text is of plain ASCII characters, on one line."),
        ("0 9 * * *\n0 10 * * *", "A cron text is of plain ASCII characters, on one line."),
        ("0 0 30 2 *", "This never happens: no month that it names has such a day."),
        ("0 0 31 4,6,9,11 *", "This never happens: no month that it names has such a day."),
        ("* * * * *", "At most one firing every 5 minutes."),
        ("*/4 9 * * *", "At most one firing every 5 minutes."),
        ("0,58 * * * *", "At most one firing every 5 minutes."),
        ("0,57 0,23 * * *", "At most one firing every 5 minutes."),
    ],
)
def test_s10_what_is_refused_says_why(text: str, reason: str) -> None:
    assert refusal(text) == reason


@pytest.mark.parametrize(
    ("text", "normalized", "summary"),
    [
        (" 0\t9  * *   mon-fri ", "0 9 * * MON-FRI", "At 09:00, on Monday to Friday"),
        ("0 9 * * 1-7", "0 9 * * 1-7", "At 09:00, every day"),
        ("0 9 * * SAT-SUN", "0 9 * * SAT-SUN", "At 09:00, on Saturday and Sunday"),
        ("0 9 * * 0,7", "0 9 * * 0,7", "At 09:00, on Sunday"),
        ("0 9 * * 5-7/2", "0 9 * * 5-7/2", "At 09:00, on Friday and Sunday"),
        ("0 9 * * FRI#2,MON", "0 9 * * FRI#2,MON", "At 09:00, on Monday and second Friday"),
        ("0 9 L * *", "0 9 L * *", "At 09:00, on the last day"),
        ("0 9 10,L JAN-MAR,DEC *", "0 9 10,L JAN-MAR,DEC *",
         "At 09:00, on day 10 and the last day, in January to March and December"),
        ("30 8 1 * FRI", "30 8 1 * FRI", "At 08:30, on day 1 or on Friday"),
        ("*/5 * * * *", "*/5 * * * *", "Every 5 minutes, every day"),
        ("0 * * * *", "0 * * * *", "Every hour, every day"),
        ("5-5 9 * * *", "5-5 9 * * *", "At 09:05, every day"),
        ("10/20 8-18 * * *", "10/20 8-18 * * *", "At the minutes 10, 30 and 50 of the hours 8 to 18, every day"),
        ("*/30 8-18 * * *", "*/30 8-18 * * *", "Every 30 minutes in the hours 8 to 18, every day"),
        ("0,58 9 * * *", "0,58 9 * * *", "At 09:00 and 09:58, every day"),
    ],
)  # fmt: skip
def test_s10_s13_what_is_taken_is_normalized_and_told_in_words(text: str, normalized: str, summary: str) -> None:
    taken = checks.cron_text(text)
    assert (taken.text, cron_words.summary(taken, "en")) == (normalized, summary)


def test_s11_day_of_month_and_weekday_are_or_when_both_sets_are_restricted() -> None:
    assert told(schedule("0 9 15 * FRI"), "2026-05-08", 4) == [
        *("2026-05-08 09:00", "2026-05-15 09:00", "2026-05-22 09:00", "2026-05-29 09:00"),
    ]
    assert told(schedule("0 9 13 * FRI"), "2026-05-09", 2) == ["2026-05-13 09:00", "2026-05-15 09:00"]
    # By the sets, not by the spelling: all weekdays restrict nothing, every tenth day does.
    assert told(schedule("0 9 13 * 0-6"), "2026-05-09", 2) == ["2026-05-13 09:00", "2026-06-13 09:00"]
    assert told(schedule("0 9 1-31 * FRI"), "2026-05-09", 2) == ["2026-05-15 09:00", "2026-05-22 09:00"]
    assert told(schedule("0 9 */10 * FRI"), "2026-05-09", 3) == [
        *("2026-05-11 09:00", "2026-05-15 09:00", "2026-05-21 09:00"),
    ]
    assert [text for text in ("0 9 */10 * FRI", "0 9 13 * 0-6") if checks.cron_text(text).takes_either_day] == [
        "0 9 */10 * FRI"
    ]


def test_s11_s12_s13_warnings_say_what_may_surprise() -> None:
    def warned(text: str, zone: str = NEW_YORK) -> list[str]:
        parsed = checks.cron_text(text)
        first = previews.next_runs(parsed, zone, NOW)[0]
        return cron_words.warnings(parsed, zone, NOW, first, "en")

    assert warned("0 9 * * *") == []
    assert warned("0 9 1 * FRI") == [
        "Day of month and day of week are both restricted: it fires when either of them fits."
    ]
    assert warned("0 9 29 2 *") == ["The first run is on 2028-02-29."]
    assert warned("30 2 * * *") == ["On 2027-03-14 the clock skips 02:30: it fires at 03:30."]
    assert warned("30 1 * * *") == ["On 2027-11-07 the clock shows 01:30 twice: it fires the first time."]
    assert warned("30 * * * *") == [
        "On 2027-03-14 the clock skips 02:30: it does not fire then.",
        "On 2027-11-07 the clock shows 01:30 twice: it fires both times.",
    ]
    assert warned("30 2 * * *", SAO_PAULO) == []


def test_s13_the_next_five_runs_are_instants_each_once() -> None:
    runs = previews.next_runs(checks.cron_text("0 9 29 2 *"), SAO_PAULO, NOW)
    assert [f"{run:%Y-%m-%dT%H:%M}" for run in runs] == [
        *("2028-02-29T12:00", "2032-02-29T12:00", "2036-02-29T12:00", "2040-02-29T12:00", "2044-02-29T12:00"),
    ]
    gap = previews.next_runs(checks.cron_text("30 2,3 * * *"), NEW_YORK, at("2027-03-13T12:00"))
    assert len(set(gap)) == len(gap) == 5


def test_every_zone_of_the_service_is_known_to_pytz() -> None:
    assert {zone for zone in available_timezones() if "/" in zone or zone == "UTC"} <= pytz.all_timezones_set


# --------------------------------------------------------------------------------------- hostile texts

_PARTS = [
    *(
        "*",
        "0",
        "7",
        "59",
        "60",
        "L",
        "W",
        "H",
        "R",
        "?",
        "#",
        "MON",
        "SUN",
        "JAN",
        "FRI#2",
        "1#9",
        "22-2",
        "1-5",
        "*/7",
    ),
    *("*/0", "*/61", "-", "--", ",", ",,", "/", "//", "1-2-3", "1/2/3", "@every", "99999999999999999999", "1e9", "0x1"),
    *(
        "\x00",
        "é",
        "٣",
        "🙂",
        "a" * 40,
        "*" * 20,
        "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16",
        "0-59/1",
        "L,L,L",
        "5#1,5#2",
    ),
    *("%s", "{0}", "{number}", "'; DROP TABLE", "\\", '"', "NaN", "None", "-1", "+1", "1.0", "①", "½"),
]


def hostile(random_: random.Random) -> str:
    kind = random_.random()
    if kind < 0.6:
        fields = random_.choice([5, 5, 5, 5, 4, 6, 7, 1, 30])
        return random_.choice([" ", "  ", "\t"]).join(
            ",".join(random_.choice(_PARTS) for _ in range(random_.choice([1, 1, 1, 2, 5]))) for _ in range(fields)
        )
    if kind < 0.8:
        alphabet = "0123456789*,-/#LWHR?@ MONFRIJAN"
        return "".join(random_.choice(alphabet) for _ in range(random_.randrange(140)))
    return "".join(random_.choice(string.printable + "é٣🙂\x00") for _ in range(random_.randrange(300)))


def answer(text: str) -> None:
    """As validateCron does."""
    try:
        parsed = checks.cron_text(text)
    except Refusal as refused:
        (problem,) = refused.problems
        assert problem.code in {UserErrorCode.INVALID, UserErrorCode.REQUIRED, UserErrorCode.TOO_LONG}
        assert len(problem.message("pt-BR")) > 10
        assert "Error" not in problem.message("en")
        return
    runs = previews.next_runs(parsed, NEW_YORK, NOW)
    assert runs == sorted(set(runs))
    assert len(runs) == 5
    assert cron_words.summary(parsed, "pt-BR")
    assert len(cron_words.warnings(parsed, NEW_YORK, NOW, runs[0], "pt-BR")) <= 4


def test_s10_s13_each_hostile_text_is_answered_and_none_raises(*, is_long: bool) -> None:
    random_ = random.Random(20261124)
    texts = [hostile(random_) for _ in range(10_000 if is_long else 400)]
    spent = []
    for text in texts:
        begun = time.thread_time()
        answer(text)
        spent.append(time.thread_time() - begun)
    # Of the thread's own time: on a busy machine the wall clock measures others.
    assert sorted(spent)[-max(1, len(spent) // 1000)] <= 0.005


@pytest.mark.parametrize(
    "text",
    [
        "*/5 * * * *",
        "0 0 29 2 *",
        "0 0 29 2 MON",
        "0,5,10,15,20,25,30,35,40,45,50,55 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22 L,1 1-11 1#1,2#2",
        "0 0 31 2,4,6,9,11 *",
    ],
)
def test_s13_the_longest_ways_take_no_longer_than_five_milliseconds(text: str) -> None:
    def once() -> float:
        cron.parse.cache_clear()
        begun = time.thread_time()
        answer(text)
        return time.thread_time() - begun

    assert min(once() for _ in range(5)) <= 0.005


@settings(max_examples=60, deadline=None, database=None)
@given(text=st.text(max_size=200))
def test_s13_any_text_is_answered(text: str) -> None:
    answer(text)
