"""The Graph adapters against a server that behaves like Meta's, and what they write for it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import UUID

import httpx
import pytest

from pytake_gql.adapters.meta import failures, graph, instagram, whatsapp
from pytake_gql.adapters.meta.graph import Graph
from pytake_gql.adapters.meta.instagram import Instagram
from pytake_gql.adapters.meta.templates import read_template
from pytake_gql.adapters.meta.whatsapp import WhatsApp
from pytake_gql.desk.channels.models import ChannelKind, TemplateStatus
from pytake_gql.desk.channels.ports import Account, AnswerLost, Placeholder, ProviderFailed
from pytake_gql.desk.conversations.ports import Address, Option, Outgoing, Parameter, TemplateMessage
from pytake_gql.development.meta.recorder import Fault, Line, Recorder
from pytake_gql.kernel.files import Files
from tests.meta import recording

MESSAGE_ID = UUID(int=7)


def sender_of(graph: Graph) -> WhatsApp:
    """For messages without files."""
    return WhatsApp(graph, cast("Files", None))


@dataclass
class Side:
    """Our adapters, and Meta's recorder at the other end."""

    recorder: Recorder
    line: Line
    url: str
    graph: Graph

    def account(self, kind: ChannelKind = ChannelKind.WHATSAPP, **settings: str) -> Account:
        known = {
            "phoneNumberId": "111",
            "accountId": "111",
            "businessAccountId": "waba",
            "apiUrl": self.url,
            **settings,
        }
        return Account(UUID(int=1), kind, known, {"accessToken": self.line.token})

    def outgoing(self, text: str = "Oi", kind: ChannelKind = ChannelKind.WHATSAPP, **given: Any) -> Outgoing:
        return Outgoing(UUID(int=2), MESSAGE_ID, text, address=Address(self.account(kind), "5511988887777"), **given)


@pytest.fixture(scope="module")
async def meta() -> AsyncIterator[Side]:
    recorder, ours = Recorder(), Graph(is_production=False)
    line = recorder.add(Line("111", "token", "secret", "waba"))
    async with recording(recorder) as url:
        yield Side(recorder, line, url, ours)
    await ours.close()


@pytest.fixture
def side(meta: Side) -> Side:
    meta.recorder.faults.clear()
    meta.line.sent.clear()
    meta.line.templates.clear()
    return meta


def options(*titles: str) -> tuple[Option, ...]:
    return tuple(Option(f"v{index}", title) for index, title in enumerate(titles))


# ------------------------------------------------------------------------------------- what is written


async def test_whatsapp_sends_text_with_its_context_and_our_id(side: Side) -> None:
    id_ = await sender_of(side.graph).send(side.outgoing("Olá 👋", reply_to="wamid.first"))
    assert side.line.sent == [
        {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": "5511988887777",
            "biz_opaque_callback_data": MESSAGE_ID.hex,
            "context": {"message_id": "wamid.first"},
            "type": "text",
            "text": {"body": "Olá 👋"},
            "id": id_,
        }
    ]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (options("Sim"), "button"),
        (options("Sim", "Não", "x" * 20), "button"),
        (options("Sim", "Não", "x" * 21), "list"),
        (options("1", "2", "3", "4"), "list"),
        (options(*(f"{n}" for n in range(10))), "list"),
    ],
)
async def test_whatsapp_offers_options_as_buttons_or_a_list(side: Side, given: tuple[Option, ...], kind: str) -> None:
    await sender_of(side.graph).send(side.outgoing("Qual?", options=given, options_label="Opções"))
    [taken] = side.line.sent
    interactive = taken["interactive"]
    assert (taken["type"], interactive["type"], interactive["body"]) == ("interactive", kind, {"text": "Qual?"})
    if kind == "button":
        offered = [button["reply"] for button in interactive["action"]["buttons"]]
    else:
        assert interactive["action"]["button"] == "Opções"
        offered = interactive["action"]["sections"][0]["rows"]
    assert offered == [{"id": option.value, "title": option.title} for option in given]


@pytest.mark.parametrize(
    ("text", "given"),
    [("Qual?", options(*(f"{n}" for n in range(11)))), ("Qual?", options("x" * 25)), ("?" * 1025, options("Sim"))],
)
def test_options_that_fit_nowhere_are_numbered(text: str, given: Sequence[Option]) -> None:
    lines = [f"{number}. {option.title}" for number, option in enumerate(given, 1)]
    outgoing = Outgoing(UUID(int=1), MESSAGE_ID, text, options=tuple(given))
    assert whatsapp.content(outgoing) == {"type": "text", "text": {"body": "\n".join([text, "", *lines])}}


async def test_whatsapp_sends_a_template_with_its_parameters(side: Side) -> None:
    parameters = (
        Parameter("HEADER", "1", False, 0, "Loja"),
        Parameter("BODY", "name", True, 0, "Bia"),
        Parameter("BODY", "day", True, 0, "terça"),
        Parameter("BUTTON", "2", False, 1, "abc"),
    )
    given = side.outgoing("Olá", template=TemplateMessage("welcome", "pt_BR", parameters))
    assert whatsapp.content(given) == {
        "type": "template",
        "template": {
            "name": "welcome",
            "language": {"code": "pt_BR"},
            "components": [
                {"type": "header", "parameters": [{"type": "text", "text": "Loja"}]},
                {
                    "type": "body",
                    "parameters": [
                        {"type": "text", "parameter_name": "name", "text": "Bia"},
                        {"type": "text", "parameter_name": "day", "text": "terça"},
                    ],
                },
                {
                    "type": "button",
                    "sub_type": "url",
                    "index": "1",
                    "parameters": [{"type": "text", "text": "abc"}],
                },
            ],
        },
    }
    with pytest.raises(ProviderFailed, match="132001"):
        await sender_of(side.graph).send(given)


async def test_instagram_sends_text_and_quick_replies(side: Side) -> None:
    sender = Instagram(side.graph)
    kind = ChannelKind.INSTAGRAM
    id_ = await sender.send(side.outgoing("Qual?", kind, options=options("A", "B"), reply_to="mid.1"))
    message = {
        "text": "Qual?",
        "quick_replies": [
            {"content_type": "text", "title": "A", "payload": "v0"},
            {"content_type": "text", "title": "B", "payload": "v1"},
        ],
        "reply_to": {"mid": "mid.1"},
    }
    assert side.line.sent == [{"recipient": {"id": "5511988887777"}, "message": message, "id": id_}]
    with pytest.raises(ProviderFailed, match="100"):
        await sender.send(side.outgoing("ç" * 501, kind))
    numbered = instagram.content(side.outgoing("Qual?", options=options("x" * 21)))
    assert numbered == {"text": f"Qual?\n\n1. {'x' * 21}"}


# ---------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("code", [1, 2, 4, 17, 32, 341, 613, 80002, 80006, 80007, 130429, 131000, 131016, 131048,
                                  131056, 131057, 133004, 1200])  # fmt: skip
def test_d27_what_passes_later_is_transient(code: int) -> None:
    failure = failures.of_response(400, {"error": {"code": code, "message": "m"}})
    assert isinstance(failure, ProviderFailed)
    assert (failure.is_transient, failure.is_access_at_fault, failure.reason) == (True, False, f"m ({code})")


@pytest.mark.parametrize("code", [*sorted(failures.PERMANENT), 999_999])
def test_d27_what_will_not_pass_is_permanent(code: int) -> None:
    failure = failures.of_response(400, {"error": {"code": code, "message": "m"}})
    assert isinstance(failure, ProviderFailed)
    assert (failure.is_transient, failure.is_access_at_fault) == (False, False)


@pytest.mark.parametrize("code", [0, 3, 10, 33, 190, 200, 299, 368, 131005, 131031])
def test_an_access_that_ended_is_permanent_and_the_channels_fault(code: int) -> None:
    failure = failures.of_response(401, {"error": {"code": code, "message": "m"}})
    assert isinstance(failure, ProviderFailed)
    assert (failure.is_transient, failure.is_access_at_fault) == (False, True)


def test_no_code_is_both() -> None:
    tables = [set(failures.TRANSIENT), set(failures.ACCESS), set(failures.PERMANENT)]
    assert len(set.union(*tables)) == sum(map(len, tables))


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (429, None, "transient"),
        (429, {"error": {"code": 999, "message": "m"}}, "transient"),
        (503, None, "transient"),
        (500, {"error": {"code": 999, "message": "m", "is_transient": True}}, "transient"),
        (500, {"error": {"code": 999, "message": "m"}}, "permanent"),
        (500, None, "lost"),
        (502, "<html>", "lost"),
        (504, {}, "lost"),
        (400, {"error": "no"}, "permanent"),
        (404, [], "permanent"),
        (302, None, "permanent"),
    ],
)
def test_an_answer_without_metas_words_says_what_it_can(status: int, body: Any, expected: str) -> None:
    failure = failures.of_response(status, body)
    told = "lost" if isinstance(failure, AnswerLost) else "transient" if failure.is_transient else "permanent"
    assert told == expected


async def test_a_refusal_is_told_in_metas_words(side: Side) -> None:
    side.recorder.faults.append(Fault(status=400, code=131047))
    with pytest.raises(ProviderFailed, match=r"^A fault that was ordered. \(131047\)$"):
        await sender_of(side.graph).send(side.outgoing())
    wrong = replace(side.account(), secrets={"accessToken": "another"})
    with pytest.raises(ProviderFailed, match="190") as refused:
        await sender_of(side.graph).send(replace(side.outgoing(), address=Address(wrong, "55")))
    assert refused.value.is_access_at_fault
    assert "another" not in repr(wrong)
    without = replace(side.account(), secrets={})
    with pytest.raises(ProviderFailed, match="no access token"):
        await sender_of(side.graph).send(replace(side.outgoing(), address=Address(without, "55")))
    assert side.line.sent == []


async def test_an_answer_that_does_not_come_is_lost_and_nobody_there_is_transient(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "ANSWER_SECONDS", 0.1)
    hasty = Graph(is_production=False)
    side.recorder.faults.append(Fault(seconds=0.4, is_lost=True))
    with pytest.raises(AnswerLost, match="ReadTimeout"):
        await sender_of(hasty).send(side.outgoing())
    nobody = side.account(apiUrl="http://127.0.0.1:9")
    with pytest.raises(ProviderFailed, match="No connection") as refused:
        await sender_of(hasty).send(replace(side.outgoing(), address=Address(nobody, "55")))
    assert refused.value.is_transient
    await hasty.close()


async def test_an_answer_that_names_no_message_is_lost(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    for body in (b"", b"{", b"[]", b"{}", b'{"messages": []}'):
        transport = httpx.MockTransport(lambda _, body=body: httpx.Response(200, content=body))
        monkeypatch.setattr(side.graph, "_http", httpx.AsyncClient(transport=transport))
        for sender in (sender_of(side.graph), Instagram(side.graph)):
            with pytest.raises(AnswerLost):
                await sender.send(side.outgoing())


async def test_no_proxy_of_the_environment_is_used(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    direct = Graph(is_production=False)
    assert await sender_of(direct).send(side.outgoing())
    await direct.close()


async def test_d32_in_production_only_metas_own_host_is_called(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []

    def answer(request: httpx.Request) -> httpx.Response:
        called.append(str(request.url))
        return httpx.Response(200, json={"messages": [{"id": "w"}], "message_id": "m"})

    strict = Graph(is_production=True)
    await strict.close()
    monkeypatch.setattr(strict, "_http", httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    for url in (side.url, "http://graph.facebook.com", "https://graph.facebook.com.example.com", "https://example.com"):
        with pytest.raises(ProviderFailed, match="own address"):
            await sender_of(strict).send(replace(side.outgoing(), address=Address(side.account(apiUrl=url), "55")))
    assert called == []
    for kind, url in (
        (ChannelKind.WHATSAPP, ""),
        (ChannelKind.WHATSAPP, "https://graph.facebook.com/v24.0"),
        (ChannelKind.INSTAGRAM, ""),
    ):
        account = side.account(kind, apiUrl=url)
        sender = sender_of(strict) if kind is ChannelKind.WHATSAPP else Instagram(strict)
        await sender.send(replace(side.outgoing(), address=Address(account, "55")))
    assert called == [
        f"https://graph.facebook.com/{graph.VERSION}/111/messages",
        "https://graph.facebook.com/v24.0/111/messages",
        f"https://graph.instagram.com/{graph.VERSION}/111/messages",
    ]


# ------------------------------------------------------------------------------------------- templates


def template(name: str = "welcome", **changed: Any) -> dict[str, Any]:
    body = {"type": "BODY", "text": "Olá {{1}}, até {{2}}!"}
    return {
        "name": name,
        "language": "pt_BR",
        "category": "UTILITY",
        "status": "APPROVED",
        "components": [body],
        **changed,
    }


async def test_templates_are_read_page_by_page(side: Side) -> None:
    side.line.templates += [template(f"t{n}") for n in range(5)]
    found = await sender_of(side.graph).templates(side.account())
    assert [one.name for one in found] == ["t0", "t1", "t2", "t3", "t4"]
    assert found[0].placeholders == (Placeholder("BODY", "1"), Placeholder("BODY", "2"))


def test_a_templates_placeholders_stand_in_header_body_and_buttons() -> None:
    components = [
        {"type": "HEADER", "format": "TEXT", "text": "Pedido {{number}}"},
        {"type": "BODY", "text": "{{name}}, {{ day }} e {{name}}"},
        {"type": "FOOTER", "text": "Loja"},
        {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Ok"},
                                        {"type": "URL", "text": "Ver", "url": "https://x.com/{{1}}"}]},
    ]  # fmt: skip
    found = read_template(template(components=components, parameter_format="NAMED"))
    assert found is not None
    assert found.placeholders == (
        Placeholder("HEADER", "number", is_named=True),
        Placeholder("BODY", "name", is_named=True),
        Placeholder("BODY", "day", is_named=True),
        Placeholder("BUTTON", "2", index=1),
    )


@pytest.mark.parametrize(
    ("status", "expected"),
    [("APPROVED", "APPROVED"), ("PENDING", "PENDING"), ("IN_APPEAL", "PENDING"), ("REJECTED", "REJECTED"),
     ("DISABLED", "REJECTED"), ("PAUSED", "PAUSED"), ("LIMIT_EXCEEDED", "PAUSED"), ("DELETED", None), ("NEW", None)],
)  # fmt: skip
def test_a_templates_status(status: str, expected: str | None) -> None:
    found = read_template(template(status=status))
    assert (found.status if found else None) == (TemplateStatus(expected) if expected else None)


@pytest.mark.parametrize(
    "changed",
    [
        {"components": []},
        {"components": [{"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "Oi"}]},
        {"components": [{"type": "CAROUSEL"}, {"type": "BODY", "text": "Oi"}]},
        {"components": [{"type": "BODY", "text": "Oi"}, {"type": "BUTTONS", "buttons": [{"type": "OTP"}]}]},
        {"name": ""},
        {"language": None},
    ],
)
def test_what_cannot_be_sent_as_text_is_no_template_of_ours(changed: dict[str, Any]) -> None:
    assert read_template(template(**changed)) is None
    assert read_template(None) is None
