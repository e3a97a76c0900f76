"""The main job, once, from outside: a customer writes, an agent sees it wait and closes it."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from pytake_gql.development import demo
from pytake_gql.development.client import Client, RequestFailed

_LIVE_SECONDS = 10.0

_LOGIN = """mutation Login($email: String!, $password: String!) {
  login(input: {email: $email, password: $password}) {
    session { accessToken } userErrors { code message }
  }
}"""
_QUEUE = "query Queue($id: ID!) { node(id: $id) { ... on Queue { name } } }"
_VISIT = """mutation Visit($channel: ID!) {
  startVisit(input: {channelId: $channel, name: "PyTake"}) { visit { visitorToken } userErrors { code message } }
}"""
_SAY = """mutation Say($text: String!) {
  sendVisitorMessage(input: {text: $text}) { message { id seq } userErrors { code message } }
}"""
_WATCH = """subscription Watch {
  inboxUpdates(mine: false) {
    __typename
    ... on InboxConversationChanged { conversation { id status lastMessage { text } } }
  }
}"""
_CLOSE = """mutation Close($id: ID!) {
  closeConversation(input: {id: $id}) { conversation { status } userErrors { code message } }
}"""


async def check(url: str) -> list[str]:
    """What worked, step by step; raises `RequestFailed` with a sentence about what did not."""
    anyone = Client(url)
    session = await anyone.ask(_LOGIN, email=demo.AGENT.email, password=demo.PASSWORD)
    agent = anyone.signed_in(session["session"]["accessToken"])
    queue = await agent.ask(_QUEUE, id=demo.QUEUE)
    if queue is None:
        raise RequestFailed("the demo queue is not there: pytake dev --reset")
    visit = await anyone.ask(_VISIT, channel=demo.CHANNEL)
    visitor = anyone.signed_in(visit["visit"]["visitorToken"])
    text = "Olá! Está tudo funcionando?"
    async with agent.subscribe(_WATCH) as updates:
        await anext(updates)  # it says that it has begun
        await visitor.ask(_SAY, text=text)
        conversation = await _seen(updates, text)
    await agent.ask(_CLOSE, id=conversation["id"])
    return [
        f"sign-in: {demo.AGENT.email}",
        f"query: the queue {queue['name']}",
        "mutation: a visitor wrote",
        "subscription: the agent saw it live",
    ]


async def _seen(updates: AsyncGenerator[Any], text: str) -> Any:
    try:
        async with asyncio.timeout(_LIVE_SECONDS):
            async for update in updates:
                conversation = update.get("conversation") or {}
                if (conversation.get("lastMessage") or {}).get("text") == text:
                    return conversation
    except TimeoutError:
        pass
    raise RequestFailed(f"the subscription did not tell the visitor's message within {_LIVE_SECONDS:.0f} s")
