"""Which files may be attached, how each begins, and how it is called (D29). Pure.

The content must begin as its declared type does: a list of what may come in, not of what may not. Libraries that
guess a type answer another question; they tell any ZIP archive for a Word document, or know none.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

LONGEST_NAME = 200

Begins: TypeAlias = Callable[[bytes], bool]

_MEDIA_BRANDS = re.compile(rb"(?:3g[2egprst]|avc|dash|f4[abpv]|iso|m4[abv]|mm|mp[47]|mqt|msnv|nd|qt)", re.IGNORECASE)
_PHOTO_BRANDS = re.compile(rb"(?:heic|heim|heis|heix|hevc|hevx|heif|mif1|msf1)")
_OFFICE_ENTRIES = re.compile(rb"(?:\[Content_Types\]\.xml|_rels/|docProps/|customXml/|word/|xl/|ppt/)")
_MPEG_FRAME = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")
_MARKUP = re.compile(rb"<[a-z!?/]|#!", re.IGNORECASE)
_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_UNSAFE_IN_NAMES = re.compile('[\x00-\x1f\x7f\ud800-\udfff/\\\\:*?"<>|]')
_BIDI = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def _starts(*signatures: bytes) -> Begins:
    return lambda head: head.startswith(signatures)


def _riff(kind: bytes) -> Begins:
    return lambda head: head[:4] == b"RIFF" and head[8:12] == kind


def _is_media(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and _MEDIA_BRANDS.match(head, 8) is not None


def _is_quicktime(head: bytes) -> bool:
    return _is_media(head) or head[4:8] in {b"moov", b"mdat", b"wide", b"free"}


def _is_photo(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and _PHOTO_BRANDS.match(head, 8) is not None


def _is_webm(head: bytes) -> bool:
    return head.startswith(b"\x1aE\xdf\xa3") and b"webm" in head[:64]


def _is_mpeg_audio(head: bytes) -> bool:
    """An ID3 tag, or a frame of layer III."""
    return head.startswith(b"ID3") or (_MPEG_FRAME.match(head) is not None)


def _is_office(head: bytes) -> bool:
    """A ZIP archive that begins as Office writes them; an archive of programs does not."""
    return head.startswith(b"PK\x03\x04") and _OFFICE_ENTRIES.match(head, 30) is not None


def _open_document(media_type: bytes) -> Begins:
    return lambda head: head.startswith(b"PK\x03\x04") and head[30:].startswith(b"mimetype" + media_type)


def _is_text(head: bytes) -> bool:
    """Neither binary nor something that a browser or a shell would run."""
    if head.startswith(_UTF16):
        return _MARKUP.match(head[2:64].replace(b"\0", b"").lstrip()) is None
    plain = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return _CONTROLS.search(head) is None and _MARKUP.match(plain) is None


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of file: the endings of its names, the usual one first, and how its content begins."""

    endings: tuple[str, ...]
    begins: Begins


_OOXML = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."
_is_ole = _starts(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")

KINDS = {
    "image/jpeg": Kind(("jpg", "jpeg", "jpe", "jfif"), _starts(b"\xff\xd8\xff")),
    "image/png": Kind(("png",), _starts(b"\x89PNG\r\n\x1a\n")),
    "image/gif": Kind(("gif",), _starts(b"GIF87a", b"GIF89a")),
    "image/webp": Kind(("webp",), _riff(b"WEBP")),
    "image/heic": Kind(("heic", "heif"), _is_photo),
    "video/mp4": Kind(("mp4", "m4v"), _is_media),
    "video/3gpp": Kind(("3gp", "3gpp"), _is_media),
    "video/quicktime": Kind(("mov", "qt"), _is_quicktime),
    "video/webm": Kind(("webm",), _is_webm),
    "audio/mpeg": Kind(("mp3",), _is_mpeg_audio),
    "audio/ogg": Kind(("ogg", "oga", "opus"), _starts(b"OggS")),
    "audio/mp4": Kind(("m4a", "mp4"), _is_media),
    "audio/aac": Kind(("aac",), _starts(b"\xff\xf1", b"\xff\xf9", b"ADIF")),
    "audio/amr": Kind(("amr",), _starts(b"#!AMR")),
    "audio/wav": Kind(("wav",), _riff(b"WAVE")),
    "audio/webm": Kind(("weba", "webm"), _is_webm),
    "application/pdf": Kind(("pdf",), _starts(b"%PDF-")),
    "text/plain": Kind(("txt", "text", "log"), _is_text),
    "text/csv": Kind(("csv",), _is_text),
    f"{_OOXML}wordprocessingml.document": Kind(("docx",), _is_office),
    f"{_OOXML}spreadsheetml.sheet": Kind(("xlsx",), _is_office),
    f"{_OOXML}presentationml.presentation": Kind(("pptx",), _is_office),
    "application/msword": Kind(("doc",), _is_ole),
    "application/vnd.ms-excel": Kind(("xls",), _is_ole),
    "application/vnd.ms-powerpoint": Kind(("ppt",), _is_ole),
    f"{_ODF}text": Kind(("odt",), _open_document(f"{_ODF}text".encode())),
    f"{_ODF}spreadsheet": Kind(("ods",), _open_document(f"{_ODF}spreadsheet".encode())),
    f"{_ODF}presentation": Kind(("odp",), _open_document(f"{_ODF}presentation".encode())),
}
_ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/heif": "image/heic",
    "audio/mp3": "audio/mpeg",
    "audio/x-m4a": "audio/mp4",
    "audio/m4a": "audio/mp4",
    "audio/opus": "audio/ogg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "application/csv": "text/csv",
}


def known(media_type: str) -> str | None:
    """The type as it is stored and served, without parameters; None for one that may not be attached."""
    bare = media_type.partition(";")[0].strip().lower()
    named = _ALIASES.get(bare, bare)
    return named if named in KINDS else None


def begins_as(media_type: str, head: bytes) -> bool:
    return bool(head) and KINDS[media_type].begins(head)


def served_name(name: str | None, media_type: str) -> str:
    """A name that is safe on every disk, and ends as its type does: `nota.html`, told to be a PDF, is nota.html.pdf."""
    safe = _BIDI.sub("", _UNSAFE_IN_NAMES.sub("_", name or "")).strip(" .")
    stem, _, ending = safe.rpartition(".")
    if not stem or ending.lower() not in KINDS[media_type].endings:
        stem, ending = safe or "attachment", KINDS[media_type].endings[0]
    return f"{stem[: LONGEST_NAME - len(ending) - 1]}.{ending}"
