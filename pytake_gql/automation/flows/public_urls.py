"""Which addresses a flow may name (F6). Whether their host is public when it is looked up is decided then (F9)."""

import ipaddress
import re
from urllib.parse import urlsplit

_HEADER = re.compile(r"[A-Za-z0-9-]{1,100}", re.ASCII)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_OWN_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"}
)
_PRIVATE = frozenset({"localhost", "local", "internal", "intranet", "lan", "home", "corp", "localdomain", "arpa"})
"""The last label of names that lead nowhere in public."""


def is_call(text: str) -> bool:
    return _is_public(text, frozenset({"http", "https"}))


def is_file(text: str) -> bool:
    return _is_public(text, frozenset({"https"}))


def is_header(name: str) -> bool:
    return _HEADER.fullmatch(name) is not None and name.lower() not in _OWN_HEADERS


def _is_public(text: str, schemes: frozenset[str]) -> bool:
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in schemes and parts.port != 0
    except ValueError:
        return False
    if not is_address or not text.isprintable() or any(character in text for character in '"<>\\'):
        return False
    if not parts.hostname or "@" in parts.netloc or "{" in parts.netloc or " " in text.partition("{{")[0]:
        return False
    return _is_public_host(parts.hostname)


def _is_public_host(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        pass
    try:
        name = host.rstrip(".").encode("idna").decode().lower()
    except UnicodeError:
        return False
    labels = name.split(".")
    if len(labels) < 2 or labels[-1] in _PRIVATE or labels[-1].isdigit() or labels[-1].startswith("0x"):  # noqa: PLR2004
        return False
    return all(_LABEL.fullmatch(label) for label in labels)
