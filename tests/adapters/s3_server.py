"""A small S3 on the loopback: keeps objects in memory, and believes no signature that it cannot work out itself."""

import asyncio
import hashlib
import hmac
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, unquote

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

KEY, SECRET, REGION, BUCKET = "AKIDEXAMPLE", "wJalr/XUtn+FEMI", "sa-east-1", "pytake"


@dataclass
class S3Server:
    """`failures` is how many of the next requests are answered 503; `asked` what came, as method and path."""

    now: Callable[[], datetime]
    port: int = 0
    failures: int = 0
    objects: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{KEY}:{quote(SECRET, safe='')}@127.0.0.1:{self.port}/{BUCKET}?region={REGION}"

    def held(self, folder: str) -> list[bytes]:
        return [data for path, (data, _) in self.objects.items() if path.startswith(f"/{BUCKET}/{folder}/")]

    async def answer(self, request: Request) -> Response:
        self.asked.append((request.method, request.url.path))
        if self.failures:
            self.failures -= 1
            return Response("<Error><Code>SlowDown</Code></Error>", 503)
        problem = self.problem(request)
        if problem:
            return Response(f"<Error><Code>{problem}</Code></Error>", 403)
        if request.method == "PUT":
            return await self.put(request)
        if request.method == "DELETE":
            self.objects.pop(request.url.path, None)
            return Response(status_code=204)
        return self.get(request)

    async def put(self, request: Request) -> Response:
        source = request.headers.get("x-amz-copy-source")
        if source is None:
            self.objects[request.url.path] = (await request.body(), request.headers.get("content-type", ""))
            return Response(status_code=200)
        if unquote(source) not in self.objects:
            return Response("<Error><Code>NoSuchKey</Code></Error>", 404)
        self.objects[request.url.path] = self.objects[unquote(source)]
        return Response("<CopyObjectResult/>", 200)

    def get(self, request: Request) -> Response:
        if request.url.path not in self.objects:
            return Response("<Error><Code>NoSuchKey</Code></Error>", 404)
        data, media_type = self.objects[request.url.path]
        asked = dict(parse_qsl(request.url.query))
        headers = {
            "content-type": asked.get("response-content-type", media_type),
            "content-disposition": asked.get("response-content-disposition", ""),
            "cache-control": asked.get("response-cache-control", ""),
        }
        wanted = request.headers.get("range")
        if wanted is None:
            return Response(data, 200, headers)
        first, last = (int(number) for number in wanted.removeprefix("bytes=").split("-"))
        part = data[first : last + 1]
        return Response(part, 206, {**headers, "content-range": f"bytes {first}-{first + len(part) - 1}/{len(data)}"})

    def problem(self, request: Request) -> str | None:
        """Worked out from the request as it came over the wire."""
        raw = request.scope["query_string"].decode()
        told = dict(parse_qsl(raw))
        signed_at = datetime.strptime(told["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if self.now() > signed_at + timedelta(seconds=int(told["X-Amz-Expires"])):
            return "AccessDenied"
        day, region, service, ending = told["X-Amz-Credential"].removeprefix(f"{KEY}/").split("/")
        if (region, service, ending) != (REGION, "s3", "aws4_request"):
            return "AuthorizationQueryParametersError"
        names = told["X-Amz-SignedHeaders"].split(";")
        unsigned = [n for n in request.headers if n.startswith("x-amz-") and n not in names]
        if "host" not in names or unsigned:
            return "AccessDenied"
        query = "&".join(sorted(part for part in raw.split("&") if not part.startswith("X-Amz-Signature=")))
        lines = [f"{name}:{request.headers.get(name, '')}" for name in names]
        canonical = "\n".join(
            [request.method, request.scope["raw_path"].decode(), query, *lines, "", ";".join(names), "UNSIGNED-PAYLOAD"]
        )
        scope = f"{day}/{region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{told['X-Amz-Date']}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"AWS4{SECRET}".encode()
        for step in (*scope.split("/"), text):
            key = hmac.new(key, step.encode(), hashlib.sha256).digest()
        return None if hmac.compare_digest(key.hex(), told["X-Amz-Signature"]) else "SignatureDoesNotMatch"


@asynccontextmanager
async def s3_server(now: Callable[[], datetime]) -> AsyncIterator[S3Server]:
    """Serves until the block ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    made = S3Server(now, port=listening.getsockname()[1])
    app = Starlette(routes=[Route("/{path:path}", made.answer, methods=["GET", "PUT", "DELETE"])])
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none", loop="none"))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield made
    finally:
        server.should_exit = True
        await running
