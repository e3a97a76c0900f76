"""Texts for end users: English is the key, catalogues hold the rest; pt-BR is what is shown by default."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

DEFAULT_LOCALE = "pt-BR"
LOCALES = (DEFAULT_LOCALE, "en")


@cache
def _catalogue(locale: str) -> Mapping[str, str]:
    if locale == "en":
        return {}
    texts: dict[str, str] = orjson.loads((files("pytake_gql") / "translations" / f"{locale}.json").read_bytes())
    return texts


def translate(template: str, locale: str, **values: Any) -> str:
    """The text in that locale; a text that no catalogue holds stays English."""
    return _catalogue(locale).get(template, template).format(**values)


def negotiate(accept_language: str | None) -> str:
    """The first supported locale of an Accept-Language header, by its order of preference (RFC 9110)."""
    wanted: list[tuple[float, str]] = []
    for part in (accept_language or "").split(",")[:10]:
        tag, _, parameters = part.partition(";")
        quality = parameters.strip().removeprefix("q=")
        weight = float(quality) if quality.replace(".", "", 1).isdigit() else 1.0
        wanted.append((-weight, tag.strip().lower()))
    for _, tag in sorted(wanted, key=lambda item: item[0]):
        for locale in LOCALES:
            if tag and tag.split("-")[0] == locale.lower().split("-")[0]:
                return locale
    return DEFAULT_LOCALE
