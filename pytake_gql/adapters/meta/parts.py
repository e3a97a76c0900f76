"""How a message with files goes through Meta: one call for each file, and what each API takes. Pure.

Sources: developers.facebook.com/docs/whatsapp/cloud-api/reference/media and …/docs/instagram-platform/instagram-api-
with-instagram-login/messaging-api. What one of them does not take is refused before anything is sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from pytake_gql.desk.channels.ports import ProviderFailed
from pytake_gql.desk.conversations.ports import Outgoing, OutgoingFile

NOT_THE_LAST = ":part"
"""Stands behind our id in what statuses bring back."""
LONGEST_CAPTION = 1024
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Taken:
    """What the provider calls such a file, and how large it may be."""

    kind: str
    most_bytes: int


def _each(kind: str, megabytes: int, *mime_types: str) -> dict[str, Taken]:
    return dict.fromkeys(mime_types, Taken(kind, megabytes * _MB))


_OOXML = "application/vnd.openxmlformats-officedocument."
_WHATSAPP: Mapping[str, Taken] = MappingProxyType(
    {
        **_each("image", 5, "image/jpeg", "image/png"),
        **_each("video", 16, "video/mp4", "video/3gpp"),
        **_each("audio", 16, "audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"),
        **_each("document", 100, "application/pdf", "text/plain", "application/msword", "application/vnd.ms-excel"),
        **_each("document", 100, "application/vnd.ms-powerpoint", f"{_OOXML}wordprocessingml.document"),
        **_each("document", 100, f"{_OOXML}spreadsheetml.sheet", f"{_OOXML}presentationml.presentation"),
    }
)
_INSTAGRAM: Mapping[str, Taken] = MappingProxyType(
    {
        **_each("image", 8, "image/jpeg", "image/png", "image/gif"),
        **_each("video", 25, "video/mp4", "video/quicktime", "video/webm"),
        **_each("audio", 25, "audio/aac", "audio/mp4", "audio/wav"),
        **_each("file", 25, "application/pdf"),
    }
)


def of_whatsapp(message: Outgoing) -> Sequence[Outgoing]:
    """The text is the first file's caption where that may have one; options come last, as they ask for an answer."""
    if not message.attachments:
        return [message]
    kinds = [_taken("WhatsApp", _WHATSAPP, file).kind for file in message.attachments]
    files = list(_files(message))
    if not message.text:
        return _joined(message, files)
    if message.options:
        return _joined(message, [*files, replace(message, attachments=())])
    if kinds[0] != "audio" and len(message.text) <= LONGEST_CAPTION:
        return _joined(message, [replace(files[0], text=message.text), *files[1:]])
    return _joined(message, [replace(message, attachments=()), *files])


def of_instagram(message: Outgoing) -> Sequence[Outgoing]:
    """The text before the files, as they have no captions; with options after them."""
    for file in message.attachments:
        _taken("Instagram", _INSTAGRAM, file)
    files = list(_files(message))
    text = [replace(message, attachments=())] if message.text or not files else []
    return _joined(message, [*files, *text] if message.options else [*text, *files])


def whatsapp_kind(file: OutgoingFile) -> str:
    return _taken("WhatsApp", _WHATSAPP, file).kind


def instagram_kind(file: OutgoingFile) -> str:
    return _taken("Instagram", _INSTAGRAM, file).kind


def _files(message: Outgoing) -> Iterator[Outgoing]:
    for file in message.attachments:
        yield replace(message, text="", options=(), attachments=(file,))


def _joined(message: Outgoing, parts: Sequence[Outgoing]) -> Sequence[Outgoing]:
    """Only the first says what it answers, only the last stands for all."""
    last = len(parts) - 1
    return [
        replace(part, reply_to=message.reply_to if index == 0 else None, is_last_part=index == last)
        for index, part in enumerate(parts)
    ]


def _taken(provider: str, table: Mapping[str, Taken], file: OutgoingFile) -> Taken:
    """Raises `ProviderFailed`, for good, where the provider would."""
    taken = table.get(file.mime_type)
    if taken is None:
        raise ProviderFailed(f"{provider} takes no files of the type {file.mime_type}: {file.name}", is_transient=False)
    if file.size_bytes > taken.most_bytes:
        most = f"at most {taken.most_bytes // _MB} MB for a file of the type {file.mime_type}"
        raise ProviderFailed(f"{provider} takes {most}: {file.name}", is_transient=False)
    return taken
