"""What others do for one recipient: the message's row and the recipient's status, before the call and after it.

A channel that answers at once is no call at all. Two statements, each its own transaction, are the least that sends at
most once: a crash between them shows (E8). Both peers take ids from their queue in Redis, one job a recipient.
"""

import os
from typing import Any, ClassVar
from uuid import UUID, uuid4

import asyncpg
from arq.connections import RedisSettings

BEFORE = """
WITH told AS (
  UPDATE execution_recipients SET status = 'SENDING', attempts = 1, message_id = $2, updated_at = clock_timestamp()
  WHERE organization_id = $3 AND id = $1 AND status = 'PENDING' RETURNING organization_id, conversation_id, contact_id)
INSERT INTO messages (organization_id, id, conversation_id, channel_id, seq, direction, author_kind, text, options,
    has_attachments, is_note, status, created_at, due_at, epoch, attempts, parts_sent)
SELECT told.organization_id, $2, conversation_id, told.organization_id, 1, 'OUTBOUND', 'BOT',
    'Olá ' || name || ', seu pedido saiu.', '[]', false, false, 'QUEUED', now(), now() + interval '1 minute', 1, 1, 0
FROM told JOIN contacts c ON c.organization_id = told.organization_id AND c.id = told.contact_id
"""
AFTER = """
WITH sent AS (UPDATE messages SET status = 'SENT', due_at = NULL WHERE organization_id = $1 AND id = $3)
UPDATE execution_recipients SET status = 'COMPLETED', due_at = NULL, updated_at = clock_timestamp()
WHERE organization_id = $1 AND id = $2
"""


async def serve(database: Any, organization_id: str, recipient_id: str) -> None:
    """Sends to one recipient."""
    of, id_, message_id = UUID(organization_id), UUID(recipient_id), uuid4()
    await database.execute(BEFORE, id_, message_id, of)
    await database.execute(AFTER, of, id_, message_id)


async def open_pool(context: dict[str, Any]) -> None:
    context["database"] = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=10, max_size=10)


async def send(context: dict[str, Any], organization_id: str, recipient_id: str) -> None:
    await serve(context["database"], organization_id, recipient_id)


class ArqWorker:
    """With arq's own defaults: ten jobs at once, a look every half second."""

    functions: ClassVar[list[Any]] = [send]
    on_startup = open_pool
    redis_settings = RedisSettings.from_dsn(os.environ.get("REDIS_URL", "redis://"))
