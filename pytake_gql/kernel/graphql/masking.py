"""What an error shows outside: a code, a message of ours, and for faults of ours a request id only (G19)."""

import logging
import re
from typing import Any

from asyncpg.exceptions import QueryCanceledError
from graphql import GraphQLError, VariableDefinitionNode
from sqlalchemy.exc import DBAPIError

from pytake_gql.kernel.errors import CodedError, ErrorCode, NotFound, RateLimited, Refusal, TimedOut
from pytake_gql.kernel.graphql.context import Context
from pytake_gql.kernel.graphql.limits import ERRORS, MESSAGE

log = logging.getLogger(__name__)


_SUGGESTION = re.compile(r" Did you mean .*\Z", re.DOTALL)


def mask(error: GraphQLError, request_id: str, *, suggests: bool = True) -> GraphQLError:
    """The error as clients may see it; a fault of ours is logged with its trace."""
    if error.extensions and error.extensions.get("code") in set(ErrorCode):
        return error
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    extensions: dict[str, Any] = {"requestId": request_id}
    if isinstance(cause, Refusal):
        # A subscription has no payload; what its arguments name is not there.
        cause = NotFound()
    if _is_statement_timeout(cause):
        cause = TimedOut()
    if isinstance(cause, CodedError):
        extensions["code"] = cause.code.value
        if isinstance(cause, RateLimited):
            extensions["retryAfterSeconds"] = cause.retry_after_seconds
        return _like(error, cause.message, extensions)
    if cause is None or isinstance(cause, GraphQLError) or _is_of_variable(error):
        # Syntax, validation and coercion: graphql-core's own, about the document and its variables.
        message = error.message if suggests else _SUGGESTION.sub("", error.message)
        return _like(error, message[:MESSAGE], {"code": ErrorCode.BAD_USER_INPUT.value})
    log.error("an operation failed: %s", type(cause).__name__, exc_info=cause, extra={"request_id": request_id})
    return _like(error, "Something went wrong on our side.", {**extensions, "code": ErrorCode.INTERNAL.value})


def _is_of_variable(error: GraphQLError) -> bool:
    """A scalar did not take its value, deep inside a variable."""
    return any(isinstance(node, VariableDefinitionNode) for node in error.nodes or ())


def _is_statement_timeout(cause: object) -> bool:
    """PostgreSQL stopped a statement at `statement_timeout`."""
    if not isinstance(cause, DBAPIError):
        return False
    return any(isinstance(it, QueryCanceledError) for it in (cause.orig, getattr(cause.orig, "__cause__", None)))


def _like(error: GraphQLError, message: str, extensions: dict[str, Any]) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )


def mask_all(result: Any, context: Context) -> None:
    """Masks the result's errors in place, and reports the first few of them only (G16)."""
    if getattr(result, "errors", None):
        suggests = not context.ports.settings.is_production
        result.errors = [mask(error, context.request_id, suggests=suggests) for error in result.errors][:ERRORS]
