"""Words as they are looked for, and that PostgreSQL makes the same of what is stored."""

import asyncpg
import pytest

from pytake_gql.desk.conversations.models import Message
from pytake_gql.kernel import search


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("Ação de amanhã", ["acao", "de", "amanha"]),
        ("“São_João”… (e-mail)", ["sao", "joao", "e", "mail"]),
        ("cafe\u0301 CAFÉ", ["cafe"]),
        ("bia.souza@Example.com", ["bia", "souza", "example", "com"]),
        ("' | ! & :* \\ \" @ <-> (", []),
        ("😀 \u00a0 ", []),
        ("o de", ["o", "de"]),
        ("Ж 中文", ["ж", "中文"]),
        (" ".join("abcdefghij"), list("abcdefgh")),
        ("x" * 70_000, ["x" * 60]),
    ],
)
def test_words(wanted: str, words: list[str]) -> None:
    assert search.words(wanted) == words


@pytest.mark.parametrize("phone", ["+55 (11) 98765-4321", "55 11 98765.4321", "5511987654321"])
def test_a_phone_is_one_word_however_it_is_written(phone: str) -> None:
    assert search.words_of_somebody(f"Bia {phone}") == ["bia", "5511987654321"]
    assert search.words_of_somebody("Bia 12 34") == ["bia", "12", "34"]


async def test_postgresql_makes_the_same_words(database_url: str) -> None:
    text = "Ação “São_João”… bia.souza@Example.com cafe\u0301 😀oi 1e5 12,50 -3 https://x.y/z?a=b don't Ж o\u00a0fim"
    computed = Message.__table__.c.words.computed  # type: ignore[attr-defined]
    connection = await asyncpg.connect(database_url)
    try:
        row = "(SELECT $1::text AS text, $2::uuid AS organization_id, $3::uuid AS id) AS row"
        made = await connection.fetchval(
            f"SELECT tsvector_to_array({computed.sqltext}) FROM {row}",  # noqa: S608 - an expression of ours
            text,
            "01980000-0000-7000-8000-0000deadbeef",
            "0199aaaa-0000-7000-8000-000000000000",
        )
        wide = await connection.fetchval(
            f"SELECT length({computed.sqltext}) FROM {row}",  # noqa: S608 - an expression of ours
            " ".join(f"{number:x}" for number in range(11_000))[: 64 * 1024],
            "01980000-0000-7000-8000-0000deadbeef",
            "0199aaaa-0000-7000-8000-000000000000",
        )
    finally:
        await connection.close()
    key = "odeadbeef0199"
    words = {word.removeprefix(key) for word in made}
    assert all(word.startswith(key) for word in made)
    expected = (
        *("acao", "sao", "joao", "bia", "souza", "example", "com", "cafe", "oi", "1e5", "12", "50", "3", "https"),
        *("x", "y", "z", "a", "b", "don", "t", "ж", "o", "fim"),
    )
    assert words - {""} == set(expected)
    assert wide == 11_000
