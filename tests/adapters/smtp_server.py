"""A small SMTP server on the loopback: speaks the protocol as RFC 5321 has it, and answers as the test says."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default


@dataclass
class SmtpServer:
    """`replies` maps the first word of a command to the answer given instead of the good one."""

    replies: dict[str, str] = field(default_factory=dict)
    login: tuple[str, str] | None = None
    is_mute: bool = False
    port: int = 0
    commands: list[str] = field(default_factory=list)
    messages: list[EmailMessage] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.is_mute:
                await reader.read()
                return
            writer.write(b"220 mx.example.com\r\n")
            while line := await reader.readline():
                command = line.decode().strip()
                self.commands.append(command)
                writer.write(f"{await self._answer(command, reader, writer)}\r\n".encode())
                if command.upper() == "QUIT":
                    break
        finally:
            writer.close()

    async def _answer(self, command: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        verb = command.partition(" ")[0].upper()
        if verb in self.replies:
            return self.replies[verb]
        if verb == "EHLO":
            return "250-mx.example.com\r\n250 AUTH PLAIN" if self.login else "250 mx.example.com"
        if verb == "AUTH":
            _, user, password = base64.b64decode(command.split()[2]).decode().split("\0")
            self.logins.append((user, password))
            return "235 come in" if (user, password) == self.login else "535 wrong password"
        if verb == "DATA":
            writer.write(b"354 go on\r\n")
            raw = await reader.readuntil(b"\r\n.\r\n")
            message = message_from_bytes(raw[:-3], policy=default)
            assert isinstance(message, EmailMessage)
            self.messages.append(message)
        return "221 bye" if verb == "QUIT" else "250 ok"


@asynccontextmanager
async def smtp_server(**values: object) -> AsyncIterator[SmtpServer]:
    kept = SmtpServer(**values)  # type: ignore[arg-type]  # the fields, as the test names them
    server = await asyncio.start_server(kept.serve, "127.0.0.1", 0)
    kept.port = server.sockets[0].getsockname()[1]
    async with server:
        yield kept
