"""A multipart form, as browsers and Meta's clients send files: for the recorder and its pages only."""

from collections.abc import Iterator
from dataclasses import dataclass
from email import policy
from email.parser import BytesParser


@dataclass(frozen=True)
class Field:
    """What was sent under that name; with a file name where it was a file."""

    name: str
    file_name: str | None
    mime_type: str
    data: bytes


def fields(content_type: str, body: bytes) -> Iterator[Field]:
    read = BytesParser(policy=policy.HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    for part in read.iter_parts():
        data = part.get_payload(decode=True)
        name = part.get_param("name", "", header="content-disposition")
        yield Field(str(name), part.get_filename(), part.get_content_type(), data if isinstance(data, bytes) else b"")
