"""Visitors who hold conversations through the public web-chat door, so that a newcomer sees a queue live."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.exceptions import WebSocketException

from pytake_gql.development.client import Client, RequestFailed

_VISIT = """mutation Visit($channel: ID!, $name: String!) {
  startVisit(input: {channelId: $channel, name: $name}) {
    visit { visitorToken } userErrors { code message }
  }
}"""
_SAY = """mutation Say($text: String!, $key: String!) {
  sendVisitorMessage(input: {text: $text, idempotencyKey: $key}) {
    message { id seq } userErrors { code message }
  }
}"""
_UPDATES = """subscription Updates {
  visitorUpdates(after: 0) {
    __typename
    ... on VisitorMessageChanged { message { id isFromVisitor } }
    ... on VisitorChatChanged { chat { status } }
  }
}"""

_NAMES = ("Marina", "João", "Beatriz", "Rafael", "Larissa", "Tiago", "Camila", "Pedro", "Juliana", "Otávio")
_OPENINGS = (
    "Oi! O meu pedido ainda não chegou, podem ver para mim?",
    "Boa tarde, vocês têm esse tênis no número 38?",
    "Olá, quero trocar uma camiseta que comprei ontem.",
    "Consigo parcelar em quantas vezes?",
    "O boleto venceu, como gero outro?",
)
_FOLLOW_UPS = (
    "Alguém aí?",
    "O número do pedido é 10234.",
    "Moro em Recife, o frete muda?",
    "Posso pagar com Pix?",
    "Tudo bem, eu espero.",
)
_LONGEST_WAIT_SECONDS = 30.0


@dataclass(slots=True)
class Tally:
    """What the visitors have seen so far."""

    visitors: int = 0
    sent: int = 0
    answered: int = 0
    closed: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Simulation:
    """`visitors` people write `messages` times each, with pauses around `pause_seconds`, and leave after `seconds`."""

    url: str
    channel: str
    visitors: int
    messages: int
    seconds: float
    pause_seconds: float
    tally: Tally = field(default_factory=Tally)

    async def run(self, tell: Callable[[Tally], None]) -> Tally:
        """Until everybody has written all, or the time is over; `tell` is called whenever something happened."""
        deadline = time.monotonic() + self.seconds
        with suppress(TimeoutError):
            async with asyncio.timeout(self.seconds), asyncio.TaskGroup() as group:
                for number in range(self.visitors):
                    group.create_task(self._visit(number, deadline, tell))
        return self.tally

    async def _visit(self, number: int, deadline: float, tell: Callable[[Tally], None]) -> None:
        """One visitor; one who fails is counted and does not keep the others from writing."""
        dice = random.Random(number)
        await asyncio.sleep(dice.uniform(0, self.pause_seconds))
        try:
            client = await self._arrive(number, deadline)
            self.tally.visitors += 1
            tell(self.tally)
            async with client.subscribe(_UPDATES) as updates, asyncio.TaskGroup() as group:
                listening = group.create_task(self._listen(updates, tell))
                await self._write(client, dice, deadline, tell)
                await asyncio.sleep(self.pause_seconds)
                listening.cancel()
        except* (RequestFailed, WebSocketException, OSError, TimeoutError) as group:
            self.tally.failures.append(str(group.exceptions[0]))
            tell(self.tally)

    async def _arrive(self, number: int, deadline: float) -> Client:
        name = f"{_NAMES[number % len(_NAMES)]} {number + 1}"
        door = Client(self.url)
        visit = await self._patiently(door, deadline, _VISIT, channel=self.channel, name=name)
        return door.signed_in(visit["visit"]["visitorToken"])

    async def _write(self, client: Client, dice: random.Random, deadline: float, tell: Callable[[Tally], None]) -> None:
        for index in range(self.messages):
            text = dice.choice(_FOLLOW_UPS if index else _OPENINGS)
            await self._patiently(client, deadline, _SAY, text=text, key=f"{index}-{dice.getrandbits(64):x}")
            self.tally.sent += 1
            tell(self.tally)
            await asyncio.sleep(dice.uniform(0.5, 1.5) * self.pause_seconds)

    async def _listen(self, updates: AsyncGenerator[Any], tell: Callable[[Tally], None]) -> None:
        seen: set[str] = set()
        async for update in updates:
            message, chat = update.get("message"), update.get("chat")
            if message and not message["isFromVisitor"] and message["id"] not in seen:
                seen.add(message["id"])
                self.tally.answered += 1
            if chat and chat["status"] == "CLOSED":
                self.tally.closed += 1
            tell(self.tally)

    @staticmethod
    async def _patiently(client: Client, deadline: float, document: str, **variables: Any) -> Any:
        """Waits as long as the service asks to: the public door counts visitors of one address."""
        while True:
            try:
                return await client.ask(document, **variables)
            except RequestFailed as refused:
                if refused.retry_after_seconds is None or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(min(refused.retry_after_seconds + 0.1, _LONGEST_WAIT_SECONDS))
