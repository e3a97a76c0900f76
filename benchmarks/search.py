"""Searching a million messages, beside the bare indexed query that any such search needs at least.

The organization that has them is another one than that of the other measures: 50,000 contacts with one conversation
of 20 messages each, made by PostgreSQL itself. The words looked for stand in five messages, in two hundred, in a few
per cent, in all, and in all of the older half.
"""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import orjson

from benchmarks import seed
from benchmarks.harness import Limits, Result, Run, compare, drive, measured
from benchmarks.http_client import Connection
from benchmarks.stage import Stage
from pytake_gql.kernel.tokens import TokenKind

CONVERSATIONS = 50_000
EACH = 20
CLIENTS = 2
_BEGAN = datetime(2023, 1, 1, tzinfo=UTC)
ORGANIZATION_ID = seed.numbered(1, 1)

SEARCH = """query Search($search: String!) {
  conversations(first: 25, filter: {search: $search}) {
    nodes { id number subject lastActivityAt contact { id name } }
    pageInfo { hasNextPage }
  }
}"""
BARE = "SELECT id FROM messages WHERE words @@ $1::text::tsquery LIMIT 25"


def _id(kind: int, number: str) -> str:
    """SQL: `seed.numbered`."""
    return f"('01980000-0000-7000-8000-{kind:04x}' || lpad(to_hex({number}), 8, '0'))::uuid"


def _at(n: str) -> str:
    """SQL: the instant of a row by its number, a minute a message."""
    return f"timestamptz '{_BEGAN.isoformat()}' + {n} * interval '1 minute'"


def _made_at(n: str) -> str:
    """SQL: a UUIDv7 of that instant, the same in each run."""
    milliseconds = f"(extract(epoch FROM {_at(n)}) * 1000)::bigint"
    return f"(lpad(to_hex({milliseconds}), 12, '0') || '70008000' || lpad(to_hex({n}), 12, '0'))::uuid"


_OF_CONVERSATION = f"n * {EACH}"
_SEED = (
    f"""INSERT INTO organizations (id, name, slug, timezone, locale, opening_hours, is_active, created_at)
    SELECT '{ORGANIZATION_ID}', 'Loja Grande', 'loja-grande', timezone, locale, opening_hours, true, created_at
    FROM organizations WHERE id = '{seed.ORGANIZATION_ID}'""",  # noqa: S608 - ids of ours
    f"""INSERT INTO accounts (id, email, password_hash, created_at)
    VALUES ({_id(5, "1000000")}, 'grande@example.com', '!', now())""",  # noqa: S608 - ids of ours
    f"""INSERT INTO members SELECT (jsonb_populate_record(m, jsonb_build_object('organization_id', '{ORGANIZATION_ID}',
    'id', {_id(6, "1000000")}, 'account_id', {_id(5, "1000000")}, 'conversation_scope', 'ORGANIZATION'))).*
    FROM members m WHERE m.id = '{seed.numbered(6, 0)}'""",  # noqa: S608 - ids of ours
    f"""INSERT INTO sessions SELECT (jsonb_populate_record(s, jsonb_build_object('organization_id', '{ORGANIZATION_ID}',
    'home_organization_id', '{ORGANIZATION_ID}', 'id', {_id(7, "1000000")}, 'account_id', {_id(5, "1000000")},
    'member_id', {_id(6, "1000000")}))).* FROM sessions s WHERE s.id = '{seed.numbered(7, 0)}'""",  # noqa: S608 - ids of ours
    f"""INSERT INTO channels SELECT (jsonb_populate_record(c, jsonb_build_object('organization_id', '{ORGANIZATION_ID}',
    'id', {_id(4, "1000000")}, 'queue_id', NULL))).* FROM channels c WHERE c.id = '{seed.CHANNEL_ID}'""",  # noqa: S608 - ids of ours
    f"""INSERT INTO contacts (organization_id, id, name, phone, email, attributes, is_blocked, created_at)
    SELECT '{ORGANIZATION_ID}', {_made_at(_OF_CONVERSATION)}, 'Cliente ' || n || ' de São João',
    '+55119' || lpad((n * 1009 % 100000000)::text, 8, '0'), 'cliente' || n || '@example.com', '{{}}', false,
    {_at(_OF_CONVERSATION)}
    FROM generate_series(0, {CONVERSATIONS - 1}) AS n""",  # noqa: S608 - ids of ours
    f"""INSERT INTO conversations (organization_id, id, number, status, priority, subject, channel_id, contact_id,
    last_seq, last_activity_at, unread_count, read_seq, contact_read_seq, has_sla, is_sla_breached, created_at,
    updated_at)
    SELECT '{ORGANIZATION_ID}', {_made_at(_OF_CONVERSATION)}, n + 1, 'CLOSED', 'NORMAL', 'Assunto ' || n % 1000,
    {_id(4, "1000000")}, {_made_at(_OF_CONVERSATION)}, {EACH}, {_at(_OF_CONVERSATION)}, 0, 0, 0, false, false,
    {_at(_OF_CONVERSATION)}, {_at(_OF_CONVERSATION)}
    FROM generate_series(0, {CONVERSATIONS - 1}) AS n""",  # noqa: S608 - ids of ours
    f"""INSERT INTO messages (organization_id, id, conversation_id, channel_id, seq, direction, author_kind, text,
    options, has_attachments, is_note, status, created_at, epoch, attempts, parts_sent)
    SELECT '{ORGANIZATION_ID}', {_made_at("n")}, {_made_at(f"(n / {EACH}) * {EACH}")}, {_id(4, "1000000")},
    n % {EACH} + 1, 'INBOUND', 'CONTACT', 'Bom dia, o pedido ' || n || ' não chegou: rara' || n % 200000
    || ' certa' || n % 5000 || CASE n % 15 WHEN 0 THEN ' reclamação' ELSE ' entrega' END
    || CASE WHEN n < {CONVERSATIONS * EACH // 2} THEN ' antigamente' ELSE ' ultimamente' END, '[]', false, false,
    'RECEIVED', {_at("n")}, 0, 0, 0 FROM generate_series(0, {CONVERSATIONS * EACH - 1}) AS n""",  # noqa: S608 - ids of ours
)


def wanted() -> Iterator[str]:
    """What people look for, again and again another: mostly something that few messages say."""
    for number in itertools.count():
        yield f"rara{number * 7919 % 200_000}"
        yield f"certa{number * 31 % 5_000}"
        yield f"rara{number * 104_729 % 200_000} pedido"
        yield f"Cliente {number * 17 % CONVERSATIONS}"
        yield ("reclamações", "pedido", "antigamente", "ultimamente entrega", "exam")[number % 5]


async def search(stage: Stage, limits: Limits) -> Result:
    token = await _seed(stage)
    async with AsyncExitStack() as open_:
        product = [
            await open_.enter_async_context(Connection(stage.product, "/graphql", token)) for _ in range(CLIENTS)
        ]
        floor = [await open_.enter_async_context(stage.database()) for _ in range(CLIENTS)]
        for connection in floor:
            await connection.execute("SET enable_seqscan = off")  # once prepared, it would read all
        answer = await _answer(product[0], floor[0])
        return await compare(
            f"search of {CONVERSATIONS * EACH:,} messages",
            limits,
            _runner(stage, [_asking(it) for it in product], limits),
            _runner(stage, [_looking(it) for it in floor], limits),
            floor_name="the bare index",
            answer=answer,
        )


async def _seed(stage: Stage) -> str:
    async with stage.database() as owner, _without_words(owner):
        for statement in _SEED:
            await owner.execute(statement)
    await stage.tidy()
    claims = {"sub": str(seed.numbered(5, 1_000_000)), "sid": str(seed.numbered(7, 1_000_000))}
    token, _ = stage.ports.tokens.sign(TokenKind.ACCESS, {**claims, "org": str(ORGANIZATION_ID)}, timedelta(hours=1))
    return token


@asynccontextmanager
async def _without_words(owner: asyncpg.Connection) -> AsyncIterator[None]:
    """An index of words is made at once in a fraction of the time that it takes row by row."""
    indexes = await owner.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'ix%words' AND schemaname = 'public'"
    )
    for index in indexes:
        await owner.execute(f"DROP INDEX {index['indexname']}")
    yield
    await owner.execute("SET maintenance_work_mem = '256MB'")
    for index in indexes:
        await owner.execute(index["indexdef"])


async def _answer(product: Connection, floor: asyncpg.Connection) -> str:
    """Both find the five messages of a rare word with which no other begins, in five conversations."""
    told = orjson.loads(await product.post(_body("rara199999")))["data"]["conversations"]["nodes"]
    bare = await floor.fetch(BARE, _lexemes("rara199999"))
    assert len(told) == len(bare) == CONVERSATIONS * EACH // 200_000
    return f"same {len(bare)} found"


def _body(text: str) -> bytes:
    return orjson.dumps({"query": SEARCH, "variables": {"search": text}})


def _lexemes(word: str) -> str:
    """The word under the key of each span of time in which there are messages (`pytake_gql.kernel.search`)."""
    spans = range(
        *(int(at.timestamp() * 1000) >> 32 for at in (_BEGAN, _BEGAN + timedelta(minutes=CONVERSATIONS * EACH)))
    )
    return " | ".join(f"'o{ORGANIZATION_ID.hex[-8:]}{span:04x}{word}'" for span in [*spans, spans.stop])


def _asking(connection: Connection) -> Callable[[], Awaitable[object]]:
    texts = wanted()
    return lambda: connection.post(_body(next(texts)))


def _looking(connection: asyncpg.Connection) -> Callable[[], Awaitable[object]]:
    numbers = itertools.count()
    return lambda: connection.fetch(BARE, _lexemes(f"rara{next(numbers) * 7919 % 200_000}"))


def _runner(
    stage: Stage, clients: list[Callable[[], Awaitable[object]]], limits: Limits
) -> Callable[[], Awaitable[Run]]:
    async def run() -> Run:
        async with measured(stage.product_pid, stage.postmaster) as taken:
            taken.latencies = await drive(clients, limits)
        return taken

    return run
