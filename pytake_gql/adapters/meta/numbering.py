"""Options as plain text, where a provider cannot show them."""

from collections.abc import Sequence

from pytake_gql.desk.conversations.ports import Option


def numbered(text: str, options: Sequence[Option]) -> str:
    lines = [f"{number}. {option.title}" for number, option in enumerate(options, start=1)]
    return "\n".join([text, "", *lines] if lines else [text])
