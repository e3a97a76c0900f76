"""GraphQL over websockets: graphql-transport-ws only, on the same path as HTTP.

Closes: 1009 frame above 64 kB; 1012 the service restarts; 1013 too many sockets, or too slow a reader; 4400 bad
frame; 4401 subscribe before the acknowledgement, or the session has ended; 4403 connection_init without a valid
token, or from a foreign origin; 4406 subprotocol; 4408 no connection_init in time; 4409 duplicate id; 4429 second
init. A socket lives as long as its session, not as its token (G12).
"""

import asyncio
import contextlib
import logging
import time
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
from strawberry.types.execution import PreExecutionError

from pytake_gql.kernel.errors import BadUserInput, CodedError, ErrorCode, Unauthenticated
from pytake_gql.kernel.graphql.calls import Call, write_json
from pytake_gql.kernel.graphql.context import Context
from pytake_gql.kernel.graphql.doorway import Doorway, bearer
from pytake_gql.kernel.graphql.masking import mask
from pytake_gql.kernel.graphql.operation import Followed as What
from pytake_gql.kernel.graphql.operation import Operation as AcceptedOperation
from pytake_gql.kernel.graphql.outgoing import TRY_AGAIN_LATER, Socket, text_frame
from pytake_gql.kernel.graphql.reports import tell
from pytake_gql.kernel.graphql.shared_streams import Stream
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


class Followed(Operation[Context, None]):
    """A subscription of a socket: a stream pushes to it, so it needs neither a task nor a context."""

    __slots__ = ("accepted", "head", "holder", "outcome", "request_id", "started", "stream", "write")

    def __init__(
        self, holder: "Handler", sent: Operation[Context, None], accepted: AcceptedOperation, request_id: str
    ) -> None:
        super().__init__(holder, sent.id, "", None, None)
        self.holder = holder
        self.accepted = accepted
        self.request_id = request_id
        self.head = write_json({"id": sent.id, "type": "next"})[:-1] + b',"payload":'
        self.write = holder.socket.write
        self.started = time.perf_counter()
        self.outcome = "OK"
        self.stream: Stream | None = None

    @property
    def is_behind(self) -> bool:
        return self.holder.socket.is_behind

    async def room(self) -> None:
        await self.holder.socket.room()

    @property
    def is_gone(self) -> bool:
        return self.holder.socket.is_gone

    def complete(self) -> None:
        self._end({"id": self.id, "type": "complete"})

    def fail(self, errors: list[GraphQLError]) -> None:
        self.outcome = str((errors[0].extensions or {}).get("code")) if errors else self.outcome
        self._end({"id": self.id, "type": "error", "payload": [error.formatted for error in errors]})

    def _end(self, message: object) -> None:
        """The id is free again before the last message tells so."""
        self.holder.operations.pop(self.id, None)
        self.write(text_frame(write_json(message)))
        self.report()

    def report(self) -> None:
        principal = self.holder.principal
        organization_id = principal.organization_id if principal else None
        tell(self.request_id, organization_id, self.accepted, self.outcome, time.perf_counter() - self.started)


class Handler(BaseGraphQLTransportWSHandler[Context, None]):
    """One socket. Each operation has a context of its own, with the holder's rights as they stand then."""

    def __init__(self, doorway: Doorway, websocket: WebSocket) -> None:
        self.socket = Socket(websocket)
        super().__init__(
            # All that would ask the view or the context is overridden here.
            view=None,  # type: ignore[arg-type]
            websocket=self.socket,
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
        self.renewed_at = 0.0
        self._running: dict[Operation[Context, None], Context] = {}

    async def handle(self) -> None:
        self._doorway.sockets.add(self)
        try:
            self.on_request_accepted()
            async for message in self.socket.iter_json():
                await self.handle_message(message)
                del message
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
            ending = [task for followed in self._followed() if (task := self._leave(followed))]
            await self.shutdown()
            await asyncio.gather(*ending, return_exceptions=True)
            await self.socket.stop()

    async def close(self, code: int, reason: str) -> None:
        await self.socket.close(code, reason)

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
            self.connection_init_timeout_task = None
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
            self.principal, self.renewed_at = principal, time.monotonic()
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
                self._end_session()
            else:
                await self._serve(operation, context)
        except WebSocketDisconnected:
            return
        except Exception as error:  # noqa: BLE001 - the outermost edge of an operation
            with contextlib.suppress(WebSocketDisconnected):
                await operation.send_initial_errors([self._masked(error, context)])
        finally:
            del self._running[operation]

    async def _serve(self, operation: Operation[Context, None], context: Context) -> None:
        served = await self._doorway.schema.serve(
            operation.query, operation.variables, context, operation.operation_name, may_follow=True
        )
        if isinstance(served, AcceptedOperation):
            self._follow(operation, served, context)
        elif isinstance(served, PreExecutionError):
            await operation.send_initial_errors(served.errors or [])
        else:
            await operation.send_next(served)
            await operation.send_operation_message({"id": operation.id, "type": "complete"})

    def _follow(self, operation: Operation[Context, None], accepted: AcceptedOperation, context: Context) -> None:
        """From here on a stream pushes, and the operation's own task ends."""
        self.operations[operation.id] = followed = Followed(self, operation, accepted, context.request_id)
        what = What(operation.query, operation.variables, accepted, context.locale)
        self._doorway.streams.follow(followed, what, context.principal)

    async def cleanup_operation(self, operation_id: str) -> None:
        operation = self.operations.get(operation_id)
        if isinstance(operation, Followed):
            self._leave(operation)
        else:
            await super().cleanup_operation(operation_id)

    def _leave(self, followed: Followed) -> "asyncio.Task[None] | None":
        self.operations.pop(followed.id, None)
        followed.outcome = "CANCELLED"
        followed.report()
        return self._doorway.streams.leave(followed)

    def _followed(self) -> list[Followed]:
        return [operation for operation in self.operations.values() if isinstance(operation, Followed)]

    def take(self, fresh: Principal | None, asked_at: float, *, is_told: bool = False) -> None:
        if fresh is None:
            self._end_session()
            return
        is_other = fresh != self.principal
        self.principal, self.renewed_at = fresh, asked_at
        if is_other:
            for operation, context in list(self._running.items()):
                context.principal = fresh
                if (error := _refusal(context.operation, fresh)) and operation.task is not None:
                    operation.task.cancel()
                    self._fail(operation, self._masked(error, context))
        for followed in self._followed() if is_other or is_told else ():
            if error := _refusal(followed.accepted, fresh):
                self._doorway.streams.leave(followed)
                followed.fail([mask(GraphQLError(str(error), original_error=error), followed.request_id)])
            else:
                self._doorway.streams.readdress(followed, fresh)

    def _fail(self, operation: Operation[Context, None], error: GraphQLError) -> None:
        self.operations.pop(operation.id, None)
        message = {"id": operation.id, "type": "error", "payload": [error.formatted]}
        self.socket.write(text_frame(write_json(message)))

    def _end_session(self) -> None:
        """Nothing more is pushed from here on, however long the closing takes."""
        for followed in self._followed():
            self._leave(followed)
        self.socket.close_soon(4401, "The session has ended.")

    @staticmethod
    def _masked(error: Exception, context: Context) -> GraphQLError:
        return mask(GraphQLError(str(error), original_error=error), context.request_id)


def _refusal(accepted: AcceptedOperation | None, principal: Principal) -> CodedError | None:
    """Why the principal may not run the operation; None when it may."""
    try:
        for rule in accepted.rules if accepted else ():
            rule.check(principal)
    except CodedError as error:
        return error
    return None
