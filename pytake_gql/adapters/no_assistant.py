"""The AI of an installation that has no provider: every question fails, and flows leave by `error`."""

from pytake_gql.automation.ai.ports import AssistantFailed, Request


class NoAssistant:
    async def answer(self, request: Request) -> str:  # noqa: ARG002
        raise AssistantFailed("No AI provider is set up.")
