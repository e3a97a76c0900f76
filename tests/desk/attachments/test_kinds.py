"""What may come in, and how it is called: D29, G22. Pure."""

import pytest

from pytake_gql.desk.attachments import kinds
from tests.desk.attachments.sending import HTML, PDF, PNG, SCRIPT, SVG

OFFICE = "application/vnd.openxmlformats-officedocument."
ZIP = b"PK\x03\x04" + b"\0" * 26
CONTENTS = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "image/gif": b"GIF89a\1\0",
    "image/webp": b"RIFF\x24\0\0\0WEBPVP8 ",
    "image/heic": b"\0\0\0\x18ftypheic\0\0\0\0",
    "video/mp4": b"\0\0\0\x18ftypisom\0\0\2\0",
    "video/3gpp": b"\0\0\0\x18ftyp3gp4\0\0\2\0",
    "video/quicktime": b"\0\0\0\x14ftypqt  \0\0\2\0",
    "video/webm": b"\x1aE\xdf\xa3\x9fB\x86\x81\1B\xf7\x81\1B\x82\x84webm",
    "audio/mpeg": b"\xff\xfb\x90\x64\0",
    "audio/ogg": b"OggS\0\2" + b"\0" * 22 + b"OpusHead",
    "audio/mp4": b"\0\0\0\x18ftypM4A \0\0\2\0",
    "audio/aac": b"\xff\xf1\x50\x80",
    "audio/amr": b"#!AMR\n\x3c",
    "audio/wav": b"RIFF\x24\0\0\0WAVEfmt ",
    "application/pdf": PDF,
    "text/plain": "Olá, tudo bem?\r\n".encode(),
    "text/csv": b"nome;valor\r\nAna;1\r\n",
    f"{OFFICE}wordprocessingml.document": ZIP + b"[Content_Types].xml",
    f"{OFFICE}spreadsheetml.sheet": ZIP + b"xl/workbook.xml",
    "application/msword": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "application/vnd.oasis.opendocument.text": ZIP + b"mimetypeapplication/vnd.oasis.opendocument.text",
}
HARMFUL = {
    "svg": SVG,
    "bare svg": b"<svg onload=alert(1)>",
    "html": HTML,
    "html behind a mark and spaces": b"\xef\xbb\xbf \r\n<SCRIPT>alert(1)</SCRIPT>",
    "html in UTF-16": "\ufeff<html>".encode("utf-16-le"),
    "shell script": SCRIPT,
    "windows program": b"MZ\x90\0\x03\0\0\0",
    "linux program": b"\x7fELF\x02\1\1\0",
    "java archive": ZIP + b"META-INF/MANIFEST.MF",
    "zip": ZIP + b"virus.exe",
    "empty": b"",
    "zeros": b"\0" * 64,
}


@pytest.mark.parametrize("media_type", CONTENTS)
def test_d29_a_content_is_of_its_own_type(media_type: str) -> None:
    assert kinds.known(media_type) == media_type
    assert kinds.begins_as(media_type, CONTENTS[media_type])


@pytest.mark.parametrize("name", HARMFUL)
def test_g22_what_a_browser_or_a_shell_would_run_is_of_no_type_that_comes_in(name: str) -> None:
    assert [media_type for media_type in kinds.KINDS if kinds.begins_as(media_type, HARMFUL[name])] == []


def test_g22_a_picture_is_of_no_other_type() -> None:
    assert [media_type for media_type in kinds.KINDS if kinds.begins_as(media_type, PNG)] == ["image/png"]


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("IMAGE/PNG", "image/png"),
        ("image/jpg", "image/jpeg"),
        ("audio/ogg; codecs=opus", "audio/ogg"),
        ("image/svg+xml", None),
        ("text/html", None),
        ("application/javascript", None),
        ("application/zip", None),
        ("application/octet-stream", None),
        ("", None),
        ("image/png\r\nX-Evil: 1", None),
    ],
)
def test_d29_only_types_of_the_list_are_known(given: str, known: str | None) -> None:
    assert kinds.known(given) == known


@pytest.mark.parametrize(
    ("name", "media_type", "served"),
    [
        ("Nota Fiscal.PDF", "application/pdf", "Nota Fiscal.PDF"),
        ("nota.html", "application/pdf", "nota.html.pdf"),
        ("relatório.v2", "application/pdf", "relatório.v2.pdf"),
        ("../../etc/passwd", "text/plain", "_.._etc_passwd.txt"),
        ('a"b\\c:d.png', "image/png", "a_b_c_d.png"),
        ("fotogpj\u202e.exe", "image/jpeg", "fotogpj.exe.jpg"),
        (" ... ", "image/png", "attachment.png"),
        (None, "audio/ogg", "attachment.ogg"),
        (".png", "image/png", "png.png"),
        ("a\0b\ud800c.png", "image/png", "a_b_c.png"),
        ("x" * 300 + ".pdf", "application/pdf", "x" * 196 + ".pdf"),
    ],
)
def test_g22_a_served_name_is_safe_and_ends_as_its_type(name: str | None, media_type: str, served: str) -> None:
    assert kinds.served_name(name, media_type) == served
