"""Phone numbers: how they are stored, and which of them are the same person's (D30). Pure."""

import re

import phonenumbers

from pytake_gql.kernel.errors import UserErrorCode, refuse

# Brazil, area code, and the eight digits that a mobile number had before it got a ninth; landlines begin with 2 to 5.
_WITHOUT_NINTH_DIGIT = re.compile(r"\+55([1-9]{2})([6-9][0-9]{7})", re.ASCII)


def e164(number: str | None, region: str, *path: str) -> str | None:
    """The number as it is stored, such as +5511987654321; None for an empty one, and a refusal for what is none.

    `region` is the ISO 3166 country that a number without a country code is read in.
    """
    trimmed = (number or "").strip()
    if not trimmed:
        return None
    try:
        parsed = phonenumbers.parse(trimmed, region)
    except phonenumbers.NumberParseException:
        parsed = None
    if parsed is None or not phonenumbers.is_possible_number(parsed) or parsed.extension:
        refuse(UserErrorCode.INVALID, "This is no phone number.", *path)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def canonical_key(number: str) -> str:
    """The same for all ways to write one person's number: two contacts never share it.

    Takes E.164, also without its plus, as WhatsApp writes it. A Brazilian mobile number without its ninth digit,
    as old address books and WhatsApp itself have it, gets the digit.
    """
    international = f"+{number.removeprefix('+')}"
    old = _WITHOUT_NINTH_DIGIT.fullmatch(international)
    return f"+55{old[1]}9{old[2]}" if old else international
