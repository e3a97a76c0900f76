"""/dev/mail: what would have been sent, outside production only."""

from dataclasses import replace
from uuid import uuid4

import httpx

from pytake_gql import app
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.settings import Environment
from pytake_gql.tenancy.mail import service


async def write(ports: Ports, subject: str, text: str, recipient: str = "bia@example.com") -> None:
    async with ports.units.of_system(None) as uow:
        await service.send(uow, recipient=recipient, subject=subject, text=text)


async def test_json_is_newest_first(ports: Ports, http: httpx.AsyncClient) -> None:
    to = f"{uuid4().hex}@example.com"
    await write(ports, "Um", "primeiro", to)
    await write(ports, "Dois", "abra https://app.example.com/a?token=1", to)
    answer = await http.get("/dev/mail", headers={"accept": "application/json"})
    assert answer.headers["content-type"] == "application/json"
    # Other tests write, too, and some of them in the future.
    second, first = (mail for mail in answer.json() if mail["to"] == to)
    assert second["at"] >= first["at"]
    assert second.pop("at").endswith("Z")
    assert second == {
        "to": to,
        "subject": "Dois",
        "text": "abra https://app.example.com/a?token=1",
        "links": ["https://app.example.com/a?token=1"],
    }
    assert (first["subject"], first["links"]) == ("Um", [])


async def test_at_most_a_hundred(ports: Ports, http: httpx.AsyncClient) -> None:
    async with ports.units.of_system(None) as uow:
        for number in range(101):
            await service.send(uow, recipient="bia@example.com", subject=str(number), text="")
    answer = await http.get("/dev/mail", headers={"accept": "application/json"})
    assert len(answer.json()) == 100


async def test_the_page_shows_text_as_text(ports: Ports, http: httpx.AsyncClient) -> None:
    await write(ports, "<b>Oi</b>", 'https://x.example.com/?a=1&b="><script>alert(1)</script>')
    answer = await http.get("/dev/mail")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h2>&lt;b&gt;Oi&lt;/b&gt;</h2>" in answer.text
    assert "<script" not in answer.text
    assert '<a href="https://x.example.com/?a=1&amp;b="' in answer.text


async def test_it_does_not_exist_in_production(ports: Ports) -> None:
    production = replace(ports, settings=replace(ports.settings, environment=Environment.PRODUCTION))
    transport = httpx.ASGITransport(app.build(production))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/dev/mail")).status_code == 404
