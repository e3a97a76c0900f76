"""Browser origins as CORS and the websocket compare them. Pure."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from pytake_gql.kernel.errors import UserErrorCode, refuse

_LONGEST = 255
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
_USUAL_PORTS = {"https": 443, "http": 80}


def checked(text: str, *path: str, allows_http: bool) -> str:
    """Scheme, host and unusual port as browsers write them, or a refusal.

    Without TLS only this very machine is let in, and elsewhere only where `allows_http`.
    """
    if len(text) > _LONGEST:
        refuse(UserErrorCode.TOO_LONG, "At most {longest} characters.", *path, longest=_LONGEST)
    try:
        parts = urlsplit(text.strip().lower())
        port = parts.port
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), None
    host = parts.hostname or ""
    if parts.scheme not in _USUAL_PORTS or f"{parts.scheme}://{parts.netloc}" != text.strip().lower():
        refuse(UserErrorCode.INVALID, "An origin has the form https://app.example.com, without a path.", *path)
    if "@" in parts.netloc or not (_HOST.fullmatch(host) or _is_address(host)) or port == 0:
        refuse(UserErrorCode.INVALID, "An origin has the form https://app.example.com, without a path.", *path)
    if parts.scheme == "http" and not allows_http and not _is_local(host):
        refuse(UserErrorCode.INVALID, "Only https, except on localhost and for development.", *path)
    written = f"[{host}]" if ":" in host else host
    is_usual = port is None or port == _USUAL_PORTS[parts.scheme]
    return f"{parts.scheme}://{written}" if is_usual else f"{parts.scheme}://{written}:{port}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_local(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost") or (_is_address(host) and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback
