"""What a contact sent, as text that a member reads. Pure."""

from pytake_gql.desk.conversations.messages import LONGEST_TEXT_BYTES
from pytake_gql.desk.deliveries.ports import Choice, Content, Media, Place, Reaction, Words
from pytake_gql.kernel.translation import translate

LONGEST_NAME = 120
LONGEST_LINE = 1000
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def text_of(content: Content, locale: str) -> str | None:
    """None where nothing was said: a reaction that was taken back."""
    match content:
        case Words(text) | Choice(title=text):
            said: str | None = text
        case Reaction(emoji=emoji):
            said = emoji
        case Place():
            said = _place(content, locale)
        case Media():
            said = _media(content, locale)
        case _:
            said = translate("[A message of a kind that is not supported: {kind}]", locale, kind=content.kind)
    return storable(said) if said and said.strip() else None


def storable(text: str) -> str:
    """Without NUL, and no longer than a message may be."""
    return text.replace("\0", _REPLACEMENT).encode()[:LONGEST_TEXT_BYTES].decode(errors="ignore")


def cut(text: str) -> str:
    """As long as a chosen value or a reason may be."""
    return storable(text)[:LONGEST_LINE]


def name_of(profile: str | None) -> str | None:
    """A profile's name as a contact's: one printable line."""
    printable = "".join(character if character.isprintable() else " " for character in profile or "")
    return " ".join(printable.split())[:LONGEST_NAME].strip() or None


def _place(place: Place, locale: str) -> str:
    """With an address that a map opens."""
    known = [line for line in (place.name, place.address) if line]
    where = f"https://www.google.com/maps?q={place.latitude},{place.longitude}"
    return "\n".join([translate("[Location]", locale), *known, where])


def _media(media: Media, locale: str) -> str:
    """What stands for a file, and what the contact wrote to it."""
    known = [line for line in (media.file_name, media.caption) if line]
    return "\n".join([_medium(media.kind, locale), *known])


def caption_of(media: Media) -> str | None:
    """What the contact wrote to a file."""
    return storable(media.caption) if media.caption and media.caption.strip() else None


def without_file(placeholder: str | None, note: str) -> str:
    """What stands for a file that will not come; the note fits in, however long the rest is."""
    room = LONGEST_TEXT_BYTES - len(note.encode()) - 1
    return f"{(placeholder or '').encode()[:room].decode(errors='ignore')}\n{note}".strip()


def _medium(kind: str, locale: str) -> str:
    match kind:
        case "image":
            return translate("[Image]", locale)
        case "video":
            return translate("[Video]", locale)
        case "audio" | "voice":
            return translate("[Audio]", locale)
        case "document":
            return translate("[Document]", locale)
        case "sticker":
            return translate("[Sticker]", locale)
        case _:
            return translate("[File]", locale)
