"""GraphQL over websockets: graphql-transport-ws only, on the same path as HTTP.

Closes: 1009 frame above 64 kB; 1012 the service restarts; 1013 too many sockets, or too slow a reader; 4400 bad
frame; 4401 subscribe before the acknowledgement, or the session has ended; 4403 connection_init without a valid
token, or from a foreign origin; 4406 subprotocol; 4408 no connection_init in time; 4409 duplicate id; 4429 second
init. A socket lives as long as its session, not as its token (G12).
"""

import contextlib
import logging
from contextlib import aclosing
from datetime import timedelta
from typing import Any

from graphql import GraphQLError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.http.exceptions import NonTextMessageReceived, WebSocketDisconnected
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)
from strawberry.types.execution import ExecutionResult, PreExecutionError

from pytake_gql.kernel.errors import BadUserInput, CodedError, ErrorCode, Unauthenticated
from pytake_gql.kernel.graphql.calls import Call
from pytake_gql.kernel.graphql.context import Context
from pytake_gql.kernel.graphql.doorway import Doorway, bearer
from pytake_gql.kernel.graphql.masking import mask
from pytake_gql.kernel.graphql.outgoing import TRY_AGAIN_LATER, Socket
from pytake_gql.kernel.principal import Anonymous, Principal

log = logging.getLogger(__name__)

OPERATIONS_A_SOCKET = 50
INIT_TIMEOUT = timedelta(seconds=5)
_LONGEST_ID = 128


class SocketDoor:
    """Answers handshakes; what is refused here never becomes a socket."""

    def __init__(self, doorway: Doorway) -> None:
        self._doorway = doorway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        doorway, headers = self._doorway, websocket.headers
        if doorway.sockets.is_draining:
            await _deny(websocket, 503)
        elif not doorway.sockets.has_room_for(doorway.address(websocket)):
            await _deny(websocket, 429)
        elif not await doorway.origins.allows(headers.get("origin"), headers.get("host"), None):
            await _deny(websocket, 403)
        elif GRAPHQL_TRANSPORT_WS_PROTOCOL not in websocket.scope["subprotocols"]:
            await websocket.accept()
            await websocket.close(4406, "Subprotocol not acceptable")
        else:
            await websocket.accept(GRAPHQL_TRANSPORT_WS_PROTOCOL)
            await Handler(doorway, websocket).handle()


async def _deny(websocket: WebSocket, status: int) -> None:
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(Response(status_code=status))
    else:
        await websocket.close()


class Handler(BaseGraphQLTransportWSHandler[Context, None]):
    """One socket. Each operation has a context of its own, with the holder's rights as they stand then."""

    def __init__(self, doorway: Doorway, websocket: WebSocket) -> None:
        self._socket = Socket(websocket)
        super().__init__(
            # All that would ask the view or the context is overridden here.
            view=None,  # type: ignore[arg-type]
            websocket=self._socket,
            context=None,  # type: ignore[arg-type]
            root_value=None,
            schema=doorway.schema,
            connection_init_wait_timeout=INIT_TIMEOUT,
            max_subscriptions_per_connection=OPERATIONS_A_SOCKET,
        )
        self._doorway = doorway
        self._handshake = websocket
        self.address = doorway.address(websocket)
        self.principal: Principal | None = None
        self._running: dict[Operation[Context, None], Context] = {}

    async def handle(self) -> None:
        self._doorway.sockets.add(self)
        try:
            self.on_request_accepted()
            async for message in self._socket.iter_json():
                await self.handle_message(message)
        except WebSocketDisconnected:
            pass
        except NonTextMessageReceived:
            await self.close(4400, "Messages are text.")
        except BadUserInput as error:
            await self.close(4400, error.message)
        except Exception:
            log.exception("a socket failed")
            await self.close(1011, "Something went wrong on our side.")
        finally:
            self._doorway.sockets.remove(self)
            await self.shutdown()
            await self._socket.stop()

    async def close(self, code: int, reason: str) -> None:
        await self._socket.close(code, reason)

    async def handle_message(self, message: Any) -> None:
        """Checks the message's shape, which Strawberry takes for granted; raises `BadUserInput`."""
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise BadUserInput("A message is an object with a type.")
        if message["type"] in {"subscribe", "complete"}:
            id_ = message.get("id")
            if not isinstance(id_, str) or not 0 < len(id_) <= _LONGEST_ID:
                raise BadUserInput(f"An id is a text of 1 to {_LONGEST_ID} characters.")
        await super().handle_message(message)  # type: ignore[arg-type]

    async def handle_connection_init(self, message: Any) -> None:
        if self.connection_timed_out:
            return
        if self.connection_init_received:
            await self.close(4429, "Too many initialisation requests")
            return
        self.connection_init_received = True
        if self.connection_init_timeout_task:
            self.connection_init_timeout_task.cancel()
        payload = message.get("payload")
        if not isinstance(payload, dict | None):
            raise BadUserInput("The payload of connection_init is an object.")
        principal = await self._identify(payload or {})
        headers = self._handshake.headers
        if principal is None:
            await self.close(4403, "connection_init needs a valid access token as authorization.")
        elif not await self._doorway.origins.allows(
            headers.get("origin"), headers.get("host"), principal.organization_id
        ):
            await self.close(4403, "This page's origin is not among the organization's front ends.")
        elif not self._doorway.sockets.hold(principal):
            await self.close(TRY_AGAIN_LATER, "You have too many sockets open.")
        else:
            self.principal = principal
            await self.send_message({"type": "connection_ack"})
            self.connection_acknowledged = True

    async def _identify(self, payload: dict[str, Any]) -> Principal | None:
        authorization = payload.get("authorization") or payload.get("Authorization")
        token = bearer(authorization) if isinstance(authorization, str) else None
        try:
            principal = await self._doorway.ports.authority.identify(token)
        except Unauthenticated:
            return None
        return None if isinstance(principal, Anonymous) else principal

    async def handle_subscribe(self, message: Any) -> None:
        if not self.connection_acknowledged:
            await self.close(4401, "Unauthorized")
            return
        Call.of(message.get("payload"))
        if message["id"] not in self.operations and len(self.operations) >= OPERATIONS_A_SOCKET:
            error = GraphQLError(
                f"A socket runs at most {OPERATIONS_A_SOCKET} operations at once.",
                extensions={"code": ErrorCode.RATE_LIMITED.value},
            )
            await self.send_message({"id": message["id"], "type": "error", "payload": [error.formatted]})
            return
        await super().handle_subscribe(message)

    async def run_operation(self, operation: Operation[Context, None]) -> None:
        context = self._doorway.context(self._handshake, self.principal or Anonymous())
        self._running[operation] = context
        try:
            if not await context.renew():
                await self._end_session()
                return
            await self._send_results(operation, context)
        except WebSocketDisconnected:
            return
        except Exception as error:  # noqa: BLE001 - the outermost edge of an operation
            with contextlib.suppress(WebSocketDisconnected):
                await operation.send_initial_errors([self._masked(error, context)])
        finally:
            del self._running[operation]

    async def _send_results(self, operation: Operation[Context, None], context: Context) -> None:
        results = await self._doorway.schema.stream(
            operation.query,
            operation.variables,
            context,
            operation_name=operation.operation_name,
        )
        async with aclosing(results):
            async for result in results:
                if isinstance(result, PreExecutionError):
                    await operation.send_initial_errors(result.errors or [])
                    return
                if isinstance(result, ExecutionResult):  # @defer and @stream, which give others, are not in the schema
                    await operation.send_next(result)
        await operation.send_operation_message({"id": operation.id, "type": "complete"})

    async def check(self) -> None:
        """Renews the holder's rights; ends the socket, or the operations, that have lost theirs."""
        if self.principal is None or self._socket.close_code is not None:
            return
        fresh = await self._doorway.ports.authority.renew(self.principal)
        if fresh is None:
            await self._end_session()
        elif fresh != self.principal:
            self.principal = fresh
            for operation, context in list(self._running.items()):
                await self._check_operation(operation, context, fresh)

    async def _check_operation(
        self, operation: Operation[Context, None], context: Context, principal: Principal
    ) -> None:
        context.principal = principal
        try:
            for rule in context.operation.rules if context.operation else ():
                rule.check(principal)
        except CodedError as error:
            with contextlib.suppress(WebSocketDisconnected):
                await operation.send_initial_errors([self._masked(error, context)])
            if operation.task is not None:
                operation.task.cancel()

    async def _end_session(self) -> None:
        await self.close(4401, "The session has ended.")

    @staticmethod
    def _masked(error: Exception, context: Context) -> GraphQLError:
        return mask(GraphQLError(str(error), original_error=error), context.request_id)
