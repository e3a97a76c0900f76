"""Phone numbers, pure."""

import pytest

from pytake_gql.desk.contacts import phones
from pytake_gql.kernel.errors import Refusal, UserErrorCode


@pytest.mark.parametrize(
    ("number", "region", "expected"),
    [
        ("(11) 98765-4321", "BR", "+5511987654321"),
        ("11 8765-4321", "BR", "+551187654321"),
        ("+1 415 555 2671", "BR", "+14155552671"),
        ("415 555 2671", "US", "+14155552671"),
        ("  ", "BR", None),
        (None, "BR", None),
    ],
)
def test_phones_are_stored_in_e164(number: str | None, region: str, expected: str | None) -> None:
    assert phones.e164(number, region, "phone") == expected


@pytest.mark.parametrize(
    "number", ["12", "call me", "+999 1", "(11) 98765-4321 ext. 5", "1" * 300, "11 98765 4321 0000"]
)
def test_what_is_no_phone_is_refused(number: str) -> None:
    with pytest.raises(Refusal) as refused:
        phones.e164(number, "BR", "phone")
    assert [(p.code, p.field) for p in refused.value.problems] == [(UserErrorCode.INVALID, ("phone",))]


@pytest.mark.parametrize(
    ("number", "key"),
    [
        ("+5511987654321", "+5511987654321"),
        ("+551187654321", "+5511987654321"),  # as address books from before 2012 have it
        ("551187654321", "+5511987654321"),  # as WhatsApp writes it
        ("+555199887766", "+5551999887766"),
        ("+556561234567", "+5565961234567"),
        ("+551123456789", "+551123456789"),  # a landline
        ("+551152345678", "+551152345678"),
        ("+5511923456789", "+5511923456789"),  # a mobile whose last eight digits are a landline's
        ("+5508001234567", "+5508001234567"),
        ("+558001234567", "+558001234567"),
        ("+55400412345", "+55400412345"),
        ("+14155552671", "+14155552671"),
        ("+351912345678", "+351912345678"),
        ("+5215512345678", "+5215512345678"),
        ("+551187654321\n", "+551187654321\n"),
        ("+55118765432１", "+55118765432１"),
    ],
)
def test_d30_a_brazilian_mobile_has_one_key_with_and_without_its_ninth_digit(number: str, key: str) -> None:
    assert phones.canonical_key(number) == key
    assert phones.canonical_key(key) == key
