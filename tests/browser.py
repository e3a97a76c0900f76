"""Headless Chromium, driven over its DevTools protocol."""

import asyncio
import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect

PATIENCE = 15.0
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--remote-debugging-port=0", "--window-size=800,900"),
)


def chromium() -> str:
    """Where it is installed; else the test is skipped."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("there is no Chromium here: apt-get update && apt-get install chromium")
    return found


class ScriptFailed(Exception):
    """The browser could not do what it was told to."""


@dataclass
class Page:
    """One tab. What its console complains of is kept."""

    connection: ClientConnection
    complaints: list[str] = field(default_factory=list)
    _answers: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def listen(self) -> None:
        async for frame in self.connection:
            message = orjson.loads(frame)
            if "id" in message:
                self._answers.pop(message["id"]).set_result(message)
            elif message["method"] == "Runtime.exceptionThrown":
                self.complaints.append(message["params"]["exceptionDetails"]["exception"]["description"])
            elif message["method"] == "Log.entryAdded":
                self.complaints.append(message["params"]["entry"]["text"])
            elif message["method"] == "Runtime.consoleAPICalled":
                self.complaints.append(str(message["params"]["args"]))

    async def call(self, method: str, **params: Any) -> Any:
        id_ = next(self._numbers)
        answer = self._answers[id_] = asyncio.get_running_loop().create_future()
        await self.connection.send(orjson.dumps({"id": id_, "method": method, "params": params}).decode())
        async with asyncio.timeout(PATIENCE):
            result = await answer
        if "error" in result:
            raise ScriptFailed(result["error"])
        return result["result"]

    async def value(self, expression: str) -> Any:
        """What JavaScript says."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise ScriptFailed(answer["exceptionDetails"])
        return answer["result"].get("value")

    async def until(self, expression: str, expected: object = True) -> None:
        """Waits for JavaScript to say this; a page that is just loading cannot say it yet."""
        found: Any = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while found != expected:
                    await asyncio.sleep(0.05)
                    with contextlib.suppress(ScriptFailed):
                        found = await self.value(expression)
        assert found == expected, (expression, self.complaints)

    async def open(self, url: str) -> None:
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState", "complete")

    async def type(self, text: str) -> None:
        """Into whatever has the focus."""
        await self.call("Input.insertText", text=text)

    async def press(self, key: str) -> None:
        codes = {"Enter": (13, "\r"), "Tab": (9, ""), " ": (32, " "), "ArrowRight": (39, "")}
        code, text = codes[key]
        common = {"key": key, "windowsVirtualKeyCode": code}
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **common)


@contextlib.asynccontextmanager
async def browse(language: str) -> AsyncIterator[Page]:
    """A tab of a fresh browser of that language, which ends with the block."""
    executable = chromium()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            executable,
            *FLAGS,
            f"--lang={language}",
            f"--accept-lang={language}",
            f"--user-data-dir={profile}",
            "about:blank",
            env={**os.environ, "HOME": profile},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with connect(await _address(Path(profile)), max_size=None) as connection:
                page = Page(connection)
                listening = asyncio.create_task(page.listen())
                for domain in ("Page", "Runtime", "Log"):
                    await page.call(f"{domain}.enable")
                try:
                    yield page
                finally:
                    listening.cancel()
                    await asyncio.gather(listening, return_exceptions=True)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _address(profile: Path) -> str:
    """Of the one tab, once the browser has begun."""
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient() as client:
        while (port := _port(profile / "DevToolsActivePort")) is None:
            await asyncio.sleep(0.05)
        targets = (await client.get(f"http://127.0.0.1:{port}/json/list")).json()
    address: str = next(target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page")
    return address


def _port(told: Path) -> str | None:
    lines = told.read_text().splitlines() if told.exists() else []
    return lines[0] if len(lines) > 1 else None
