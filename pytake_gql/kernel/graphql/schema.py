"""The schema's class: the one path that both doors take to execute an operation (G16, G17).

Rate, document (parsed, measured, validated or found in the cache), introspection, cost; then execution under a
time limit; then masking, a line in the log and a count. What is refused was not executed.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing
from typing import Any

import strawberry
from graphql import GraphQLError, OperationType
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.execution import PreExecutionError, StreamExecutionResult
from strawberry.types.graphql import OperationType as StrawberryOperationType

from pytake_gql.kernel.errors import BadUserInput, QueryTooComplex, TimedOut
from pytake_gql.kernel.graphql import costs, rates
from pytake_gql.kernel.graphql.access import require_rules
from pytake_gql.kernel.graphql.context import Context
from pytake_gql.kernel.graphql.documents import Documents
from pytake_gql.kernel.graphql.executor import Executor, mark_leaves
from pytake_gql.kernel.graphql.masking import mask_all
from pytake_gql.kernel.graphql.operation import Operation
from pytake_gql.kernel.graphql.reports import Report
from pytake_gql.kernel.graphql.scalars import SCALARS


class Refused(Exception):
    """The document is not executed, for these reasons."""

    def __init__(self, errors: Iterable[GraphQLError]) -> None:
        super().__init__()
        self.errors = list(errors)


class Prepared(SchemaExtension):
    """Hands the accepted document to Strawberry, which then neither parses nor validates."""

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context.context
        if isinstance(context, Context) and context.operation is not None:
            self.execution_context.graphql_document = context.operation.document
            self.execution_context.validation_rules = ()
        yield


class Schema(strawberry.Schema):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        mark_leaves(self._schema)
        self.documents = Documents(self._schema)

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing: `masking` logs what is ours, and what a client did wrong needs no trace."""

    async def execute(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any | None = None,
        root_value: Any | None = None,  # noqa: ARG002 - Strawberry's signature
        operation_name: str | None = None,
        allowed_operation_types: Iterable[StrawberryOperationType] | None = None,  # noqa: ARG002
        operation_extensions: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> ExecutionResult:
        """The answer to a query or a mutation; raises nothing but a cancellation."""
        served = await self.serve(query, variable_values, context_value, operation_name)  # type: ignore[arg-type]
        assert isinstance(served, ExecutionResult)  # noqa: S101 - nothing is followed
        return served

    async def serve(
        self,
        text: str | None,
        variables: dict[str, Any] | None,
        context: Context,
        name: str | None,
        *,
        may_follow: bool = False,
    ) -> ExecutionResult | Operation:
        """The answer, or the accepted operation of a subscription, which is then to be followed.

        Raises nothing but a cancellation.
        """
        with Report(context) as report:
            try:
                operation = await self.accept(text, variables, name, context)
                if operation.kind is not OperationType.SUBSCRIPTION:
                    result = await self._run(text, variables, context, operation)
                elif may_follow:
                    report.goes_on()
                    return operation
                else:
                    raise BadUserInput("Subscriptions are served over the websocket only.")  # noqa: TRY301
            except Exception as error:  # noqa: BLE001 - the outermost edge of an operation
                result = _refusal(error)
            mask_all(result, context)
            report.answered(result)
        return result

    async def follow(
        self, text: str | None, variables: dict[str, Any] | None, context: Context, operation: Operation
    ) -> AsyncGenerator[StreamExecutionResult, None]:
        """What an accepted subscription pushes, its errors masked."""
        context.operation = operation
        source = await super().stream(text, variables, context, None, operation.name)
        async with aclosing(source):
            async for result in source:
                mask_all(result, context)
                yield result

    async def accept(
        self, text: str | None, variables: Mapping[str, Any] | None, name: str | None, context: Context
    ) -> Operation:
        """The operation, within every limit; raises `Refused` or a `CodedError`."""
        settings, limiter = context.ports.settings, context.ports.limiter
        await rates.admit(limiter, context.principal, context.ip_address)
        if not text:
            raise BadUserInput("There is no query.")
        document = self.documents.read(text, suggests=not settings.is_production)
        if document.errors:
            raise Refused(document.errors)
        operation = document.operation(name)
        if operation.introspects and settings.is_production:
            raise BadUserInput("Introspection is for development; schema.graphql is published.")
        cost, budget = operation.cost(variables or {}), costs.budget(context.principal)
        if cost > budget:
            raise QueryTooComplex(f"The operation costs {cost}, and your budget is {budget}.")
        if operation.root_fields > 1:
            await rates.admit(limiter, context.principal, context.ip_address, operation.root_fields - 1)
        context.operation = operation
        return operation

    async def _run(
        self, text: str | None, variables: dict[str, Any] | None, context: Context, operation: Operation
    ) -> ExecutionResult:
        try:
            async with asyncio.timeout(operation.seconds):
                return await super().execute(text, variables, context, None, operation.name)
        except TimeoutError as error:
            raise TimedOut from error


def _refusal(error: Exception) -> PreExecutionError:
    errors = error.errors if isinstance(error, Refused) else [GraphQLError(str(error), original_error=error)]
    return PreExecutionError(data=None, errors=errors)


def build(query: type[Any], mutation: type[Any], subscription: type[Any] | None, types: list[type[Any]]) -> Schema:
    """The schema of these roots; fails where a root field has no rule (G2)."""
    require_rules(*filter(None, (query, mutation, subscription)))
    return Schema(
        query=query,
        mutation=mutation,
        subscription=subscription,
        types=types,
        extensions=[Prepared],
        execution_context_class=Executor,
        config=StrawberryConfig(scalar_map=SCALARS),
    )
