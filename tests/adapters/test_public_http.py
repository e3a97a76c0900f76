"""F9: tenants' addresses lead to public hosts only, whatever names resolve to and answers redirect to."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from pytake_gql.adapters.address_files import AddressFiles
from pytake_gql.adapters.public_http import GuardedHttp
from pytake_gql.desk.channels.models import ChannelKind
from pytake_gql.desk.channels.ports import Account, ProviderFailed
from pytake_gql.desk.deliveries.ports import MediumTooLarge
from pytake_gql.kernel.addresses import is_public
from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.public_http import AnswerTooLarge, Call, CallFailed, HostRefused

PRIVATE = [
    "10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "0.0.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
    "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "fec0::1", "ff02::1",
    "2001:db8::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b:1::808:808",
    "2002:7f00:1::", "2001:0:1::1", "::127.0.0.1", "no address",
]  # fmt: skip


@dataclass
class Server:
    """Answers by path, and remembers what it was asked."""

    port: int = 0
    answers: dict[str, bytes] = field(default_factory=dict)
    requests: list[bytes] = field(default_factory=list)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Server"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        self.requests.append(head + await reader.readexactly(length))
        answer = self.answers.get(head.split(b" ")[1].decode())
        if answer is None:
            await asyncio.sleep(30)  # never
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server().serving() as served:
        yield served


def names(**known: Sequence[str] | Callable[[], Sequence[str]]) -> Callable[[str, int], object]:
    async def resolve(host: str, _port: int) -> Sequence[str]:
        found = known.get(host.replace(".", "_"), [host])
        return found() if callable(found) else found

    return resolve


@asynccontextmanager
async def guarded(resolver: object, *, allowed: str = "127.0.0.1") -> AsyncIterator[GuardedHttp]:
    """The machine itself stands for the public internet; everything else is what it is."""
    http = GuardedHttp(resolver, lambda address: address == allowed or is_public(address))  # type: ignore[arg-type]
    try:
        yield http
    finally:
        await http.close()


@pytest.mark.parametrize("address", PRIVATE)
async def test_f9_no_private_address_is_called(address: str) -> None:
    assert not is_public(address)
    http = GuardedHttp(names(innocent_example_com=[address]))  # type: ignore[arg-type]
    with pytest.raises(HostRefused):
        await http.call(Call("GET", "http://innocent.example.com/"))
    await http.close()


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_f9_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"])
async def test_f9_a_literal_address_is_looked_at_like_a_name(host: str, server: Server) -> None:
    http = GuardedHttp()
    with pytest.raises(CallFailed):
        await http.call(Call("GET", f"http://{host}:{server.port}/"))
    await http.close()
    assert server.requests == []


async def test_f9_one_private_address_among_several_is_enough(server: Server) -> None:
    async with guarded(names(two_example_com=["127.0.0.1", "10.0.0.1"])) as http:
        with pytest.raises(HostRefused):
            await http.call(Call("GET", f"http://two.example.com:{server.port}/"))
    assert server.requests == []


async def test_f9_a_name_is_resolved_once_and_that_address_is_called(server: Server) -> None:
    server.answers["/"] = answer(b"oi")
    turns = [["127.0.0.1"], ["10.0.0.1"]]
    async with guarded(names(rebind_example_com=lambda: turns.pop(0))) as http:
        assert (await http.call(Call("GET", f"http://rebind.example.com:{server.port}/"))).body == b"oi"
        assert len(turns) == 1
        with pytest.raises(HostRefused):
            await http.call(Call("GET", f"http://rebind.example.com:{server.port}/"))
    [request] = server.requests
    assert b"\r\nHost: rebind.example.com:" in request


async def test_f9_each_redirect_is_looked_at_again(server: Server) -> None:
    async with guarded(names(a_example_com=["127.0.0.1"], b_example_com=["192.168.0.1"])) as http:
        server.answers["/"] = answer(status="302 Found", Location=f"http://b.example.com:{server.port}/x")
        with pytest.raises(HostRefused):
            await http.call(Call("GET", f"http://a.example.com:{server.port}/"))
        server.answers["/"] = answer(status="302 Found", Location="file:///etc/passwd")
        with pytest.raises(CallFailed):
            await http.call(Call("GET", f"http://a.example.com:{server.port}/"))
    assert len(server.requests) == 2


async def test_f9_five_redirects_are_followed_and_no_sixth(server: Server) -> None:
    for n in range(7):
        server.answers[f"/{n}"] = answer(status="307 Temporary Redirect", Location=f"/{n + 1}")
    server.answers["/5"] = answer(b"fim")
    async with guarded(names(a_example_com=["127.0.0.1"])) as http:
        told = await http.call(Call("POST", f"http://a.example.com:{server.port}/0", body=b"{}"))
        assert (told.status, told.body, len(server.requests)) == (200, b"fim", 6)
        assert [request[:7] for request in server.requests] == [b"POST /0"[:6] + str(n).encode() for n in range(6)]
        server.answers["/5"] = answer(status="307 Temporary Redirect", Location="/6")
        with pytest.raises(CallFailed, match="More than 5 redirects"):
            await http.call(Call("POST", f"http://a.example.com:{server.port}/0"))
    assert len(server.requests) == 12


async def test_f9_what_is_meant_for_one_host_is_not_told_to_another(server: Server) -> None:
    server.answers["/"] = answer(status="303 See Other", Location=f"http://b.example.com:{server.port}/x")
    server.answers["/x"] = answer(b"ok")
    async with guarded(names(a_example_com=["127.0.0.1"], b_example_com=["127.0.0.1"])) as http:
        call = Call("POST", f"http://a.example.com:{server.port}/", {"X-Key": "segredo"}, b"corpo")
        assert (await http.call(call)).body == b"ok"
    first, second = server.requests
    assert b"X-Key: segredo" in first
    assert first.endswith(b"corpo")
    assert second.startswith(b"GET /x")
    assert b"segredo" not in second
    assert not second.endswith(b"corpo")


async def test_f9_answers_are_bounded_in_size_and_time(server: Server) -> None:
    server.answers["/large"] = answer(b"x" * (64 * 1024 + 1))
    server.answers["/fits"] = answer(b"x" * (64 * 1024))
    async with guarded(names(a_example_com=["127.0.0.1"])) as http:
        assert len((await http.call(Call("GET", f"http://a.example.com:{server.port}/fits"))).body) == 64 * 1024
        with pytest.raises(AnswerTooLarge):
            await http.call(Call("GET", f"http://a.example.com:{server.port}/large"))
        begun = asyncio.get_running_loop().time()
        with pytest.raises(CallFailed, match="in time"):
            await http.call(Call("GET", f"http://a.example.com:{server.port}/never", timeout_seconds=0.2))
        assert asyncio.get_running_loop().time() - begun < 3


async def test_f9_no_proxy_of_the_environment_is_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Server()
    async with proxy.serving():
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setitem(os.environ, name, f"http://127.0.0.1:{proxy.port}")
        server.answers["/"] = answer(b"direto")
        async with guarded(names(a_example_com=["127.0.0.1"])) as http:
            assert (await http.call(Call("GET", f"http://a.example.com:{server.port}/"))).body == b"direto"
    assert proxy.requests == []


@pytest.mark.parametrize(
    "url", ["ftp://a.example.com/", "http://", "http://u:p@a.example.com/", "gopher://x/", "http://[::1", "nada", ""]
)
async def test_f9_what_is_no_address_is_not_called(url: str) -> None:
    async with guarded(names(a_example_com=["127.0.0.1"])) as http:
        with pytest.raises(CallFailed):
            await http.call(Call("GET", url))


async def test_f9_a_header_that_breaks_the_line_is_not_sent(server: Server) -> None:
    async with guarded(names(a_example_com=["127.0.0.1"])) as http:
        with pytest.raises(CallFailed):
            await http.call(Call("GET", f"http://a.example.com:{server.port}/", {"X": "a\r\nHost: b"}))
    assert server.requests == []


async def test_a_flows_file_comes_from_a_public_host_and_is_no_larger_than_allowed(server: Server) -> None:
    server.answers["/f.png"] = answer(b"\x89PNG", **{"Content-Type": "image/png; x=y"})
    server.answers["/none"] = answer(b"", status="404 Not Found")
    account = Account(uuid7(), ChannelKind.WEB_CHAT, {}, {})
    async with guarded(names(a_example_com=["127.0.0.1"], b_example_com=["10.0.0.1"])) as http:
        files, at = AddressFiles(http), f"http://a.example.com:{server.port}"
        fetched = await files.fetch(account, f"{at}/f.png", most_bytes=4)
        assert (fetched.data, fetched.mime_type) == (b"\x89PNG", "image/png")
        with pytest.raises(MediumTooLarge):
            await files.fetch(account, f"{at}/f.png", most_bytes=3)
        for url in (f"{at}/none", "http://b.example.com/f.png"):
            with pytest.raises(ProviderFailed) as failure:
                await files.fetch(account, url, most_bytes=4)
            assert not failure.value.is_transient
