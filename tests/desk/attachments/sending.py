"""Files of each kind, and whoever uploads and sends them."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

from pytake_gql.kernel.ids import id_of
from tests.client import Client

PREPARE = """mutation ($input: PrepareUploadInput!) { prepareUpload(input: $input) {
    attachmentId uploadUrl headers { name value } expiresAt userErrors { code field message } } }"""
SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
    message { id seq text status attachments { id url urlExpiresAt mimeType fileName sizeBytes } }
    userErrors { code field } } }"""
WRITE = """mutation ($input: SendVisitorMessageInput!) { sendVisitorMessage(input: $input) {
    message { id text attachments { id url mimeType fileName sizeBytes } } chat { id } userErrors { code field } } }"""
NODE = "query ($id: ID!) { node(id: $id) { __typename id } }"

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0" * 40
PDF = b"%PDF-1.7\n1 0 obj"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!doctype html><script>alert(1)</script>"
SCRIPT = b"#!/bin/sh\nrm -rf ~\n"


@dataclass(frozen=True)
class Ready:
    """An upload that was prepared."""

    id: str
    url: str
    headers: dict[str, str]

    @property
    def row_id(self) -> UUID:
        return id_of(self.id)


async def prepare(client: Client, size: int, *, name: str = "foto.png", mime: str = "image/png") -> Ready:
    answer = await client.ask(PREPARE, input={"fileName": name, "mimeType": mime, "sizeBytes": size})
    assert answer["userErrors"] == []
    headers = {header["name"]: header["value"] for header in answer["headers"]}
    return Ready(answer["attachmentId"], answer["uploadUrl"], headers)


async def put(http: httpx.AsyncClient, ready: Ready, data: Any, **headers: str) -> httpx.Response:
    return await http.put(ready.url, content=data, headers={**ready.headers, **headers})


async def upload(
    http: httpx.AsyncClient, client: Client, data: bytes = PNG, *, name: str = "foto.png", mime: str = "image/png"
) -> str:
    """The id of a file that may be sent."""
    ready = await prepare(client, len(data), name=name, mime=mime)
    answer = await put(http, ready, data)
    assert (answer.status_code, answer.content) == (204, b"")
    return ready.id
