"""schedulePreview, validateCron and holidays through the door: pure fields for every member."""

from typing import Any

import httpx
import pytest

from pytake_gql.kernel.principal import Role
from tests.client import Client
from tests.factories import Factory

PREVIEW = """query ($schedule: ScheduleInput!, $from: DateTime, $to: DateTime, $count: Int! = 10) {
    schedulePreview(schedule: $schedule, from: $from, to: $to, count: $count) {
        occurrences { scheduledFor firesAt localDate localTime outcome reasonCode reason }
        userErrors { code field message } } }"""
VALIDATE = """query ($expression: String!, $timezone: TimeZone) {
    validateCron(expression: $expression, timezone: $timezone) {
        isValid error normalized summary warnings nextRuns } }"""
HOLIDAYS = """query ($from: Date!, $to: Date!, $region: String) {
    holidays(from: $from, to: $to, region: $region) { date name } }"""
WEEKDAYS = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"]
DAILY = {"daily": {"times": ["09:00"]}}


async def viewer(make: Factory, http: httpx.AsyncClient, **organization: Any) -> Client:
    member = await make.member(await make.organization(**organization), Role.VIEWER)
    return Client(http, (await make.signed_in(member)).token)


async def refused(client: Client, **schedule: Any) -> list[tuple[str, str]]:
    """Codes and paths, of a schedule in São Paulo that is else every day at 9:00."""
    given = {"timezone": "America/Sao_Paulo", "recurrence": DAILY} | schedule
    payload = await client.ask(PREVIEW, schedule=given)
    assert payload["occurrences"] == []
    assert all(len(error["message"]) > 10 for error in payload["userErrors"])
    return [(error["code"], ".".join(error["field"])) for error in payload["userErrors"]]


async def test_a_newcomers_schedule_is_previewed_with_its_reasons(make: Factory, http: httpx.AsyncClient) -> None:
    client = await viewer(make, http, holiday_region="BR-SP", locale="pt-BR")
    schedule = {
        "timezone": "America/Sao_Paulo",
        "recurrence": {"weekly": {"weekdays": WEEKDAYS, "times": ["09:00"]}},
        "skipHolidays": True,
        "exceptions": [
            {"kind": "SKIP", "from": "2026-12-24", "reason": "Inventário"},
            {"kind": "RESCHEDULE", "from": "2026-12-31", "rescheduleTo": "2026-12-30T15:00"},
        ],
    }
    asked = {"from": "2026-12-23T00:00:00Z", "to": "2027-01-04T12:00:00Z"}
    payload = await client.ask(PREVIEW, schedule=schedule, **asked)
    assert payload["userErrors"] == []
    told = [
        (one["localDate"], one["localTime"], one["firesAt"], one["outcome"], one["reasonCode"], one["reason"])
        for one in payload["occurrences"]
    ]
    assert told == [
        ("2026-12-23", "09:00", "2026-12-23T12:00:00Z", "FIRES", None, None),
        ("2026-12-24", "09:00", None, "SKIPPED", "EXCEPTION", "exceção 'Inventário'"),
        ("2026-12-25", "09:00", None, "SKIPPED", "HOLIDAY", "feriado Natal"),
        ("2026-12-28", "09:00", "2026-12-28T12:00:00Z", "FIRES", None, None),
        ("2026-12-29", "09:00", "2026-12-29T12:00:00Z", "FIRES", None, None),
        ("2026-12-30", "09:00", "2026-12-30T12:00:00Z", "FIRES", None, None),
        ("2026-12-31", "09:00", "2026-12-30T18:00:00Z", "MOVED", "EXCEPTION", "exceção"),
        ("2027-01-01", "09:00", None, "SKIPPED", "HOLIDAY", payload["occurrences"][7]["reason"]),
    ]
    assert payload["occurrences"][7]["reason"].startswith("feriado ")
    tail = await client.ask(PREVIEW, schedule=schedule, **asked | {"from": "2026-12-28T12:00:00Z"})
    assert tail["occurrences"] == payload["occurrences"][3:]


async def test_s4_a_gap_and_what_falls_together_with_it_are_told(make: Factory, http: httpx.AsyncClient) -> None:
    client = await viewer(make, http, locale="en")
    schedule = {"timezone": "America/New_York", "recurrence": {"daily": {"times": ["02:30", "03:30"]}}}
    payload = await client.ask(PREVIEW, schedule=schedule, **{"from": "2026-03-08T05:00:00Z"}, count=2)
    first, second = payload["occurrences"]
    assert first == {
        "scheduledFor": "2026-03-08T07:30:00Z",
        "firesAt": "2026-03-08T07:30:00Z",
        "localDate": "2026-03-08",
        "localTime": "02:30",
        "outcome": "FIRES",
        "reasonCode": "CLOCK_CHANGE",
        "reason": "clock change",
    }
    assert (second["outcome"], second["firesAt"], second["reasonCode"], second["reason"]) == (
        *("SKIPPED", None, "COLLAPSED", "falls together with 2026-03-08 02:30"),
    )


async def test_a_preview_takes_a_target_in_the_past_and_any_instant(make: Factory, http: httpx.AsyncClient) -> None:
    client = await viewer(make, http)
    schedule = {
        "timezone": "America/Sao_Paulo",
        "recurrence": {"daily": {"times": ["00:00"]}},
        "exceptions": [{"kind": "RESCHEDULE", "from": "2018-11-05", "rescheduleTo": "2018-11-05T12:00"}],
    }
    payload = await client.ask(PREVIEW, schedule=schedule, **{"from": "2018-11-04T00:00:00Z"}, count=2)
    assert [one["firesAt"] for one in payload["occurrences"]] == ["2018-11-04T03:00:00Z", "2018-11-05T14:00:00Z"]
    for instant in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        payload = await client.ask(PREVIEW, schedule=schedule, **{"from": instant}, count=2)
        assert (payload["userErrors"], len(payload["occurrences"])) == ([], 2 if instant < "2" else 0)


async def test_bad_schedules_are_refused_with_the_path_of_each_field(make: Factory, http: httpx.AsyncClient) -> None:
    client = await viewer(make, http)
    assert await refused(client, count=10**9) == [("INVALID", "schedule.count")]
    assert await refused(client, count=0, jitterSeconds=-1, catchUpSeconds=10**8) == [
        *(("INVALID", f"schedule.{name}") for name in ("count", "catchUpSeconds", "jitterSeconds")),
    ]
    assert await refused(client, startsAt="2026-05-02T00:00", endsAt="2026-05-01T00:00") == [
        ("INVALID", "schedule.endsAt")
    ]
    assert await refused(client, startsAt="2026-05-02T10:00", endsAt="2026-05-02T11:00") == [
        ("INVALID", "schedule.endsAt")
    ]
    assert await refused(client, startsAt="0001-01-01T00:00") == [("INVALID", "schedule.startsAt")]
    assert await refused(client, timezone="Etc/GMT+3") == [("INVALID", "schedule.timezone")]
    assert await refused(client, window={"opensAt": "09:00", "closesAt": "09:00"}) == [
        ("INVALID", "schedule.window.closesAt")
    ]


@pytest.mark.parametrize(
    ("recurrence", "code", "path"),
    [
        ({"cron": {"expression": "0 9 * * * *"}}, "INVALID", "cron.expression"),
        ({"cron": {"expression": "0 0 30 2 *"}}, "INVALID", "cron.expression"),
        ({"cron": {"expression": ""}}, "REQUIRED", "cron.expression"),
        ({"cron": {"expression": "0 9 * *\u0000"}}, "INVALID", "cron.expression"),
        ({"daily": {"times": []}}, "REQUIRED", "daily.times"),
        ({"daily": {"times": ["09:00", "09:04"]}}, "INVALID", "daily.times"),
        ({"daily": {"times": ["00:00", "23:58"]}}, "INVALID", "daily.times"),
        ({"daily": {"times": ["09:00:30"]}}, "INVALID", "daily.times.0"),
        ({"daily": {"times": ["09:00"], "interval": 0}}, "INVALID", "daily.interval"),
        ({"daily": {"times": ["09:00"], "interval": 2147483647}}, "INVALID", "daily.interval"),
        ({"weekly": {"weekdays": [], "times": ["09:00"]}}, "REQUIRED", "weekly.weekdays"),
        ({"monthly": {"times": ["09:00"]}}, "REQUIRED", "monthly.days"),
        ({"monthly": {"days": [1, 32], "times": ["09:00"]}}, "INVALID", "monthly.days.1"),
        ({"monthly": {"days": [0], "times": ["09:00"]}}, "INVALID", "monthly.days.0"),
        ({"monthly": {"nthWeekdays": [{"nth": 6, "weekday": "MONDAY"}], "times": ["09:00"]}}, "INVALID",
         "monthly.nthWeekdays.0.nth"),
        ({"dates": {"at": []}}, "REQUIRED", "dates.at"),
        ({"dates": {"at": ["2026-05-01T09:00"] * 501}}, "TOO_MANY", "dates.at"),
        ({"once": {"at": "9999-12-31T23:59"}}, "INVALID", "once.at"),
    ],
)  # fmt: skip
async def test_bad_recurrences_are_refused(
    make: Factory, http: httpx.AsyncClient, recurrence: dict[str, Any], code: str, path: str
) -> None:
    client = await viewer(make, http)
    assert await refused(client, recurrence=recurrence) == [(code, f"schedule.recurrence.{path}")]


async def test_s12_a_rule_that_never_comes_round_is_refused(make: Factory, http: httpx.AsyncClient) -> None:
    client = await viewer(make, http)
    never = {"monthly": {"interval": 12, "days": [30], "times": ["09:00"], "missingDay": "SKIP"}}
    assert await refused(client, recurrence=never, startsAt="2026-02-01T00:00") == [("INVALID", "schedule.recurrence")]


@pytest.mark.parametrize(
    ("exceptions", "code", "path"),
    [
        ([{"kind": "SKIP", "from": "2026-05-02", "to": "2026-05-01"}], "INVALID", "0.to"),
        ([{"kind": "SKIP", "from": "2026-05-01", "to": "2026-05-03"}, {"kind": "SKIP", "from": "2026-05-03"}],
         "INVALID", "1"),
        ([{"kind": "SKIP", "from": "2026-05-03"}, {"kind": "SKIP", "from": "2026-05-01", "to": "2026-05-09"}],
         "INVALID", "0"),
        ([{"kind": "SKIP", "from": "2026-05-01", "time": "09:00"}], "INVALID", "0.time"),
        ([{"kind": "RESCHEDULE", "from": "2026-05-01"}], "REQUIRED", "0.rescheduleTo"),
        ([{"kind": "MODIFY", "from": "2026-05-01"}], "REQUIRED", "0.time"),
        ([{"kind": "MODIFY", "from": "2026-05-01", "time": "09:00:01"}], "INVALID", "0.time"),
        ([{"kind": "MODIFY", "from": "2026-05-01", "limits": {"maxAttempts": 0}}], "INVALID", "0.limits.maxAttempts"),
        ([{"kind": "MODIFY", "from": "2026-05-01", "window": {"opensAt": "09:00", "closesAt": "09:00"}}],
         "INVALID", "0.window.closesAt"),
        ([{"kind": "SKIP", "from": "2026-05-01", "reason": "x" * 201}], "TOO_LONG", "0.reason"),
        ([{"kind": "SKIP", "from": "0001-01-01"}], "INVALID", "0.from"),
    ],
)  # fmt: skip
async def test_s14_bad_exceptions_are_refused(
    make: Factory, http: httpx.AsyncClient, exceptions: list[dict[str, Any]], code: str, path: str
) -> None:
    client = await viewer(make, http)
    assert (code, f"schedule.exceptions.{path}") in await refused(client, exceptions=exceptions)


async def test_an_exception_list_that_is_too_long_is_refused(make: Factory, http: httpx.AsyncClient) -> None:
    client = await viewer(make, http)
    some = [{"kind": "SKIP", "from": "2026-05-01"}] * 501
    assert await refused(client, exceptions=some) == [("TOO_MANY", "schedule.exceptions")]
    given = {"timezone": "America/Sao_Paulo", "recurrence": DAILY, "exceptions": some * 200}
    assert await client.code(PREVIEW, schedule=given) == "BAD_USER_INPUT"


async def test_what_is_no_zone_date_or_recurrence_is_bad_input(make: Factory, http: httpx.AsyncClient) -> None:
    client = await viewer(make, http)
    for given in (
        {"timezone": "Mars/Olympus", "recurrence": DAILY},
        {"timezone": "-03:00", "recurrence": DAILY},
        {"timezone": "BRT", "recurrence": DAILY},
        {"timezone": "America/Sao_Paulo", "recurrence": {"once": {"at": "2026-02-30T09:00"}}},
        {"timezone": "America/Sao_Paulo", "recurrence": {}},
        {"timezone": "America/Sao_Paulo", "recurrence": {**DAILY, "cron": {"expression": "0 9 * * *"}}},
    ):
        assert await client.code(PREVIEW, schedule=given) == "BAD_USER_INPUT"


async def test_a_preview_has_at_most_366(make: Factory, http: httpx.AsyncClient) -> None:
    client = await viewer(make, http)
    given = {"timezone": "America/Sao_Paulo", "recurrence": DAILY}
    assert len((await client.ask(PREVIEW, schedule=given, count=366))["occurrences"]) == 366
    for count in (0, 367):
        payload = await client.ask(PREVIEW, schedule=given, count=count)
        assert [(error["code"], error["field"]) for error in payload["userErrors"]] == [("INVALID", ["count"])]


async def test_s13_a_cron_text_is_validated_in_the_organizations_zone_and_words(
    make: Factory, http: httpx.AsyncClient
) -> None:
    client = await viewer(make, http, timezone="America/Sao_Paulo", locale="pt-BR")
    found = await client.ask(VALIDATE, expression=" 0 9 1 *  fri ")
    assert (found["isValid"], found["error"], found["normalized"]) == (True, None, "0 9 1 * FRI")
    assert found["summary"] == "Às 09:00, dia 1 ou sexta-feira"
    assert found["warnings"] == ["Dia do mês e dia da semana estão restritos: dispara quando um dos dois serve."]
    assert len(found["nextRuns"]) == 5
    assert all(run.endswith("T12:00:00Z") for run in found["nextRuns"])
    elsewhere = await client.ask(VALIDATE, expression="0 9 1 * FRI", timezone="Asia/Tokyo")
    assert all(run.endswith("T00:00:00Z") for run in elsewhere["nextRuns"])
    wrong = await client.ask(VALIDATE, expression="0 22-2 * * *")
    assert wrong == {
        "isValid": False,
        "error": "Field 2: the range 22-2 runs backwards.",
        "normalized": None,
        "summary": None,
        "warnings": [],
        "nextRuns": [],
    }


async def test_s15_holidays_are_named_in_the_countrys_language(make: Factory, http: httpx.AsyncClient) -> None:
    client = await viewer(make, http, holiday_region="BR-SP")
    asked = {"from": "2026-07-01", "to": "2026-12-25"}
    found = await client.ask(HOLIDAYS, **asked)
    assert [one["date"] for one in found] == [
        *("2026-07-09", "2026-09-07", "2026-10-12", "2026-11-02", "2026-11-15", "2026-11-20", "2026-12-25"),
    ]
    assert found[-1]["name"] == "Natal"
    assert "2026-07-09" not in [one["date"] for one in await client.ask(HOLIDAYS, **asked, region="BR")]
    assert await client.ask(HOLIDAYS, **{"from": "2026-12-25", "to": "2026-12-24"}) == []
    for bad in (
        {"region": "XX"},
        {"region": "br\u0000"},
        {"to": "2031-12-25"},
        {"from": "0001-01-01", "to": "9999-12-31"},
    ):
        assert await client.code(HOLIDAYS, **asked | bad) == "BAD_USER_INPUT"
    admin = await make.signed_in(await make.member(await make.organization(), Role.ORG_ADMIN))
    without = Client(http, admin.token)
    await without.ask("mutation { updateOrganization(input: {holidayRegion: null}) { userErrors { code } } }")
    assert await without.ask(HOLIDAYS, **asked) == []


async def test_g2_only_members_compute_schedules(anonymous: Client) -> None:
    given = {"timezone": "America/Sao_Paulo", "recurrence": DAILY}
    assert await anonymous.code(PREVIEW, schedule=given) == "UNAUTHENTICATED"
    assert await anonymous.code(VALIDATE, expression="0 9 * * *") == "UNAUTHENTICATED"
