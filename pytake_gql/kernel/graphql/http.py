"""GraphQL over HTTP: POST with application/json and nothing else, which is also what keeps forged forms out (CSRF)."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from graphql import GraphQLError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send
from strawberry.http import process_result
from strawberry.http.ides import get_graphql_ide_html
from strawberry.types.execution import PreExecutionError

from pytake_gql.kernel.errors import BadUserInput, CodedError, Forbidden, TimedOut, Unauthenticated
from pytake_gql.kernel.graphql.calls import BODY_BYTES, Call, read_json, write_json
from pytake_gql.kernel.graphql.context import Context
from pytake_gql.kernel.graphql.doorway import Doorway, bearer
from pytake_gql.kernel.graphql.masking import mask_all
from pytake_gql.kernel.graphql.reports import Report
from pytake_gql.kernel.principal import Anonymous, Principal

BODY_SECONDS = 10.0
"""A body that takes longer to arrive is not waited for."""
DISCARDED_BYTES = 1024 * 1024
"""Beyond these the service hangs up on a body that is too large."""

_HANG_UP = {"connection": "close"}


class HttpRefusal(Exception):
    """The request is answered with this status, and with the coded error as its body."""

    def __init__(self, status: int, cause: CodedError, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(cause.message)
        self.status, self.cause, self.headers = status, cause, headers or {}


class HttpDoor:
    def __init__(self, doorway: Doorway) -> None:
        self._doorway = doorway
        self._ports = doorway.ports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            return await self._preflight(request)
        if self._wants_page(request):
            return HTMLResponse(get_graphql_ide_html(graphql_ide="graphiql"))
        context = self._doorway.context(request, Anonymous())
        headers = {"cache-control": "no-store", "vary": "Origin"}
        status = 200
        try:
            self._check_method(request)
            context.principal = await self._identify(request.headers.get("authorization"))
            headers |= await self._allowed(request, context.principal.organization_id)
            call = Call.of(read_json(await self._body(request)))
        except Exception as error:  # noqa: BLE001 - the outermost edge of a request
            status = error.status if isinstance(error, HttpRefusal) else 400 if isinstance(error, CodedError) else 200
            headers |= error.headers if isinstance(error, HttpRefusal) else {}
            body = self._refuse(error, context)
        else:
            body = await self._execute(call, context)
        return Response(write_json(body), status, headers, media_type="application/json")

    async def _execute(self, call: Call, context: Context) -> Any:
        return process_result(
            await self._doorway.schema.execute(call.query, call.variables, context, operation_name=call.operation_name)
        )

    @staticmethod
    def _refuse(error: Exception, context: Context) -> Any:
        """The body of a request that did not come as far as the schema."""
        cause = error.cause if isinstance(error, HttpRefusal) else error
        result = PreExecutionError(data=None, errors=[GraphQLError(str(cause), original_error=cause)])
        with Report(context) as report:
            mask_all(result, context)
            report.answered(result)
        return process_result(result)

    def _wants_page(self, request: Request) -> bool:
        return (
            request.method == "GET"
            and not self._ports.settings.is_production
            and "text/html" in request.headers.get("accept", "")
            and "query" not in request.query_params
        )

    @staticmethod
    def _check_method(request: Request) -> None:
        if request.method != "POST":
            cause = BadUserInput("GraphQL is served by POST with a JSON body.")
            raise HttpRefusal(405, cause, {"allow": "POST, OPTIONS"})
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise HttpRefusal(415, BadUserInput("The Content-Type must be application/json."))

    async def _identify(self, authorization: str | None) -> Principal:
        """An invalid token makes an anonymous caller: what needs none (login) still answers."""
        try:
            return await self._ports.authority.identify(bearer(authorization))
        except Unauthenticated:
            return Anonymous()

    async def _body(self, request: Request) -> bytes:
        """Keeps no more than the limit; what is a little larger is read off, so that the client hears the answer."""
        too_large = BadUserInput(f"The body is larger than {BODY_BYTES // 1024} kB.")
        announced = request.headers.get("content-length", "0")
        if announced.isdecimal() and int(announced[:20]) > DISCARDED_BYTES:
            raise HttpRefusal(413, too_large, _HANG_UP)
        body, length = bytearray(), 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    length += len(chunk)
                    if length > DISCARDED_BYTES:
                        raise HttpRefusal(413, too_large, _HANG_UP)
                    if length <= BODY_BYTES:
                        body += chunk
        except TimeoutError as error:
            raise HttpRefusal(408, TimedOut(), _HANG_UP) from error
        except ClientDisconnect as error:
            raise BadUserInput("The body did not arrive.") from error
        if length > BODY_BYTES:
            raise HttpRefusal(413, too_large)
        return bytes(body)

    async def _allowed(self, request: Request, organization_id: UUID | None) -> dict[str, str]:
        """The headers that let the calling page read the answer; a page of nobody's is refused."""
        origin = request.headers.get("origin")
        if origin is None:
            return {}
        if not await self._doorway.origins.allows(origin, request.headers.get("host"), organization_id):
            raise HttpRefusal(403, Forbidden("This page's origin is not among the organization's front ends."))
        return {"access-control-allow-origin": origin, "access-control-expose-headers": "x-request-id"}

    async def _preflight(self, request: Request) -> Response:
        """The organization is not known yet: a front end of any may ask."""
        origin = request.headers.get("origin")
        if not origin or not await self._doorway.origins.allows(origin, request.headers.get("host"), None):
            return Response(status_code=403, headers={"vary": "Origin"})
        return Response(
            status_code=204,
            headers={
                "access-control-allow-origin": origin,
                "access-control-allow-methods": "POST",
                "access-control-allow-headers": "authorization, content-type, accept-language",
                "access-control-max-age": "600",
                "vary": "Origin",
            },
        )
