"""The floor: the least that could give the same bytes. One query by asyncpg, orjson, Starlette; nobody is asked for.

It knows neither tenants nor rights, limits, documents nor schemas.
"""

import argparse
import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

LIST = """
SELECT c.id, c.number, c.status, c.priority, c.subject, c.unread_count, c.last_seq, c.last_activity_at,
       c.contact_id, t.name AS contact_name, c.assignee_id, m.name AS assignee_name,
       c.last_message_id, l.text, l.direction, l.status AS message_status, l.created_at
FROM conversations c
JOIN contacts t ON t.organization_id = c.organization_id AND t.id = c.contact_id
LEFT JOIN members m ON m.organization_id = c.organization_id AND m.id = c.assignee_id
LEFT JOIN messages l ON l.organization_id = c.organization_id AND l.id = c.last_message_id
WHERE c.organization_id = $1
ORDER BY c.last_activity_at DESC, c.id DESC
LIMIT $2
"""
HISTORY = """
SELECT m.id, m.seq, m.direction, m.author_kind, m.author_id, a.name AS author_name, m.text, m.status, m.created_at
FROM messages m LEFT JOIN members a ON a.organization_id = m.organization_id AND a.id = m.author_id
WHERE m.organization_id = $1 AND m.conversation_id = $2
ORDER BY m.seq
LIMIT $3
"""


SNAPSHOT = """
SELECT c.id, c.number, c.status, c.priority, c.subject, c.last_seq, c.queued_at, c.contact_id, t.name AS contact_name
FROM conversations c
JOIN contacts t ON t.organization_id = c.organization_id AND t.id = c.contact_id
WHERE c.organization_id = $1 AND c.queue_id = $2 AND c.status = 'QUEUED'
ORDER BY c.waiting_rank, c.sla_due_at, c.eligible_since, c.id
LIMIT $3
"""


class Floor:
    def __init__(self) -> None:
        self._sockets: set[WebSocket] = set()
        self.app = Starlette(
            routes=[
                Route("/list", self.list_conversations, methods=["POST"]),
                Route("/history", self.history, methods=["POST"]),
                Route("/snapshot", self.snapshot, methods=["POST"]),
                Route("/publish", self.publish, methods=["POST"]),
                WebSocketRoute("/listen", self.listen),
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async def keep(connection: Any) -> None:
            """Nothing is left behind in a connection, so nothing is reset, which would cost a round trip."""

        url = os.environ["DATABASE_URL"]
        async with asyncpg.create_pool(url, min_size=8, max_size=20, reset=keep) as self._pool:
            yield

    async def list_conversations(self, request: Request) -> Response:
        asked = orjson.loads(await request.body())
        first = asked["first"]
        rows = await self._pool.fetch(LIST, UUID(asked["organization"]), first + 1)
        found = {"nodes": [_conversation(row) for row in rows[:first]], "pageInfo": {"hasNextPage": len(rows) > first}}
        return _json({"data": {"conversations": found}})

    async def history(self, request: Request) -> Response:
        asked = orjson.loads(await request.body())
        arguments = UUID(asked["organization"]), UUID(asked["conversation"]), asked["first"]
        rows = await self._pool.fetch(HISTORY, *arguments)
        return _json({"data": {"conversation": {"messages": {"nodes": [_message(row) for row in rows]}}}})

    async def snapshot(self, request: Request) -> Response:
        asked = orjson.loads(await request.body())
        rows = await self._pool.fetch(SNAPSHOT, UUID(asked["organization"]), UUID(asked["queue"]), asked["first"])
        return _json({"data": {"queueUpdates": {"conversations": [_waiting(row) for row in rows]}}})

    async def publish(self, request: Request) -> Response:
        """Writes the body to every socket, as it is."""
        text = (await request.body()).decode()
        await asyncio.gather(*(socket.send_text(text) for socket in self._sockets))
        return _json({"sent": len(self._sockets)})

    async def listen(self, socket: WebSocket) -> None:
        await socket.accept()
        self._sockets.add(socket)
        try:
            while True:
                await socket.receive_text()
        except WebSocketDisconnect:
            self._sockets.discard(socket)


def _conversation(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "id": f"Conversation_{row['id'].hex}",
        "number": row["number"],
        "status": row["status"],
        "priority": row["priority"],
        "subject": row["subject"],
        "unreadCount": row["unread_count"],
        "lastSeq": row["last_seq"],
        "lastActivityAt": row["last_activity_at"],
        "contact": {"id": f"Contact_{row['contact_id'].hex}", "name": row["contact_name"]},
        "assignee": _member(row["assignee_id"], row["assignee_name"]),
        "lastMessage": row["last_message_id"]
        and {
            "id": f"Message_{row['last_message_id'].hex}",
            "text": row["text"],
            "direction": row["direction"],
            "status": row["message_status"],
            "createdAt": row["created_at"],
        },
    }


def _waiting(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "id": f"Conversation_{row['id'].hex}",
        "number": row["number"],
        "status": row["status"],
        "priority": row["priority"],
        "subject": row["subject"],
        "lastSeq": row["last_seq"],
        "queuedAt": row["queued_at"],
        "contact": {"id": f"Contact_{row['contact_id'].hex}", "name": row["contact_name"]},
    }


def _message(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "id": f"Message_{row['id'].hex}",
        "seq": row["seq"],
        "direction": row["direction"],
        "authorKind": row["author_kind"],
        "author": _member(row["author_id"], row["author_name"]),
        "text": row["text"],
        "status": row["status"],
        "createdAt": row["created_at"],
    }


def _member(id_: UUID | None, name: str | None) -> dict[str, Any] | None:
    return {"id": f"Member_{id_.hex}", "name": name} if id_ else None


def _json(value: object) -> Response:
    return Response(orjson.dumps(value, option=orjson.OPT_UTC_Z), media_type="application/json")


def main() -> None:
    """Served as PyTake is served."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(
        Floor().app,
        host="127.0.0.1",
        port=parser.parse_args().port,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
