"""HTTP to addresses that tenants give: a name is resolved once, each address is looked at, and that one is called (F9).

The connection goes to the very address that was looked at, so that a name which leads elsewhere a moment later gains
nothing. No proxies and no certificates from the environment, no cookies, and no connection that is used again.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import TypeAlias

import httpcore
import httpx

from pytake_gql.kernel.addresses import is_public
from pytake_gql.kernel.public_http import Answer, AnswerTooLarge, Call, CallFailed, HostRefused

MOST_REDIRECTS = 5
_CONNECTIONS = 100
_MOST_ADDRESSES = 4
"""Of one name that are tried."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEEP_METHOD = frozenset({307, 308})
_PRESENTING = (("User-Agent", "PyTake"), ("Accept", "*/*"), ("Accept-Encoding", "identity"), ("Connection", "close"))
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "te", "upgrade"})

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolve(host: str, port: int) -> Sequence[str]:
    """All addresses of a name, or a literal address as it is."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise CallFailed(f"The host {host} was not found.") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedHttp:
    """`is_allowed` says of an address whether it may be called."""

    def __init__(self, resolver: Resolver = resolve, is_allowed: Callable[[str], bool] = is_public) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_tls(),
            max_connections=_CONNECTIONS,
            max_keepalive_connections=0,
            network_backend=_Guard(resolver, is_allowed),
        )

    async def close(self) -> None:
        await self._pool.aclose()

    async def call(self, call: Call) -> Answer:
        """As the port says."""
        try:
            async with asyncio.timeout(call.timeout_seconds):
                return await self._call(call)
        except TimeoutError as error:
            raise CallFailed("No answer came in time.") from error

    async def _call(self, call: Call) -> Answer:
        url, method, body = _address(call.url), call.method, call.body
        headers = {name: value for name, value in call.headers.items() if name.lower() not in _OURS}
        for _ in range(MOST_REDIRECTS + 1):
            async with self._ask(method, url, headers, body) as response:
                location = _header(response, b"location")
                if response.status not in _REDIRECTS or location is None:
                    data = await _read(response, call.most_bytes)
                    return Answer(response.status, _header(response, b"content-type"), data)
            there = _address(_joined(url, location))
            if response.status not in _KEEP_METHOD and method not in {"GET", "HEAD"}:
                method, body = "GET", None
                headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}
            if (there.scheme, there.host, there.port) != (url.scheme, url.host, url.port):
                # What was meant for one host, such as a key, is not for another.
                headers = {}
            url = there
        raise CallFailed(f"More than {MOST_REDIRECTS} redirects.")

    @asynccontextmanager
    async def _ask(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[httpcore.Response]:
        at = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        named = {name.lower() for name in headers}
        sent = [("Host", url.netloc.decode()), *(it for it in _PRESENTING if it[0].lower() not in named)]
        sent += [*headers.items()]
        if body is not None or method in {"POST", "PUT", "PATCH"}:
            sent.append(("Content-Length", str(len(body or b""))))
        wired = [(name.encode("ascii"), value.encode()) for name, value in sent]
        try:
            async with self._pool.stream(method, at, headers=wired, content=body) as response:
                yield response
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            raise CallFailed("No connection.") from error
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.RemoteProtocolError) as error:
            raise CallFailed("The connection broke.") from error
        except (httpcore.LocalProtocolError, httpcore.UnsupportedProtocol, UnicodeEncodeError) as error:
            raise CallFailed("This is no request that can be sent.") from error


@cache
def _tls() -> ssl.SSLContext:
    """Costly to make, and the same for all."""
    return httpx.create_ssl_context(trust_env=False)


class _Guard(httpcore.AsyncNetworkBackend):
    """Opens connections; TLS still asks for the certificate of the name."""

    def __init__(self, resolver: Resolver, is_allowed: Callable[[str], bool]) -> None:
        self._resolve = resolver
        self._is_allowed = is_allowed
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = (await self._resolve(host, port))[:_MOST_ADDRESSES]
        if not addresses or not all(self._is_allowed(address) for address in addresses):
            raise HostRefused(f"The host {host} is not public.")
        failure: Exception = httpcore.ConnectError("no address")
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError as error:
                failure = error
        raise failure


def _address(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
        is_call = url.scheme in {"http", "https"} and bool(url.host) and not url.userinfo
    except (httpx.InvalidURL, ValueError) as error:
        raise CallFailed("This is no address that can be called.") from error
    if not is_call:
        raise CallFailed("This is no address that can be called.")
    return url


def _joined(url: httpx.URL, location: str) -> str:
    try:
        return str(url.join(location))
    except (httpx.InvalidURL, ValueError) as error:
        raise CallFailed("It redirects to what is no address.") from error


def _header(response: httpcore.Response, wanted: bytes) -> str | None:
    return next((value.decode("latin-1") for name, value in response.headers if name.lower() == wanted), None)


async def _read(response: httpcore.Response, most_bytes: int) -> bytes:
    held = bytearray()
    async for chunk in response.aiter_stream():
        held += chunk
        if len(held) > most_bytes:
            raise AnswerTooLarge(f"The answer has more than {most_bytes // 1024} KiB.")
    return bytes(held)
