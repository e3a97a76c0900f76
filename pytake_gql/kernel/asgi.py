"""What each HTTP answer carries, whatever route gave it: the id under which the log knows it (G19)."""

import logging

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pytake_gql.kernel.errors import ErrorCode
from pytake_gql.kernel.ids import uuid7

log = logging.getLogger(__name__)

REQUEST_ID = "x-request-id"


class RequestIds:
    """Gives each request an id of ours; one that comes from outside could be forged into the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["request_id"] = uuid7().hex

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = scope["request_id"]
            await send(message)

        await self._app(scope, receive, send_with_id)


async def failed(request: Request, error: Exception) -> Response:
    """The answer where a route other than GraphQL raised; the trace stands in the log only."""
    request_id = request.scope.get("request_id", "")
    log.error("a request failed", exc_info=error, extra={"request_id": request_id, "path": request.url.path})
    body = {"error": {"code": ErrorCode.INTERNAL.value, "requestId": request_id}}
    return JSONResponse(body, 500, {REQUEST_ID: request_id})
