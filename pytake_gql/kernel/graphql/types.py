"""Decorators for GraphQL types whose docstrings are their descriptions.

A class's docstring describes the type, the string below an attribute the field, a resolver's docstring its
field: the public manual stands where the code stands.
"""

import ast
import functools
import inspect
import itertools
import sys
from collections.abc import Callable, Iterator
from enum import EnumMeta
from typing import Any, TypeVar, dataclass_transform

import strawberry
from strawberry.types.base import StrawberryObjectDefinition, get_object_definition
from strawberry.types.enum import has_enum_definition
from strawberry.types.field import StrawberryField

T = TypeVar("T")
E = TypeVar("E", bound=EnumMeta)


@dataclass_transform(field_specifiers=(strawberry.field, StrawberryField))
def object_type(cls: type[T]) -> type[T]:
    return _described(cls, strawberry.type(cls, description=inspect.getdoc(cls)))


@dataclass_transform(field_specifiers=(strawberry.field, StrawberryField))
def interface_type(cls: type[T]) -> type[T]:
    return _described(cls, strawberry.interface(cls, description=inspect.getdoc(cls)))


@dataclass_transform(field_specifiers=(strawberry.field, StrawberryField), kw_only_default=True)
def input_type(cls: type[T]) -> type[T]:
    return _described(cls, strawberry.input(cls, description=inspect.getdoc(cls)))


@dataclass_transform(field_specifiers=(strawberry.field, StrawberryField), kw_only_default=True)
def one_of_type(cls: type[T]) -> type[T]:
    """An input of which exactly one field is given; each is a `Maybe`."""
    return _described(cls, strawberry.input(cls, one_of=True, description=inspect.getdoc(cls)))


def enum_type(cls: E) -> E:
    """Makes an enum of the domain one of the schema, too; each module that shows it may ask.

    The string below a member describes its value.
    """
    if not has_enum_definition(cls):
        text = cls.__dict__.get("__doc__")
        strawberry.enum(cls, description=inspect.cleandoc(text) if text else None)
        texts = _attribute_docstrings(cls)
        for value in cls.__strawberry_definition__.values:  # type: ignore[attr-defined]
            value.description = texts.get(value.name)
    return cls


def field(resolver: Callable[..., Any]) -> Any:
    """A field with a resolver; its docstring is the description."""
    return strawberry.field(resolver, description=inspect.getdoc(resolver))


def extend(target: type[Any], name: str | None = None) -> Callable[[Callable[..., Any]], Any]:
    """Adds a field to the type of a domain below: `Member.queues` is the queues' to answer, not the members'.

    The resolver's first parameter is `self: Member`; the field has the resolver's name unless
    another one is given.
    """

    def add(resolver: Callable[..., Any]) -> Any:
        definition = _definition(target)
        added: StrawberryField = strawberry.field(resolver, description=inspect.getdoc(resolver))
        added.python_name = name or resolver.__name__
        added.origin = target
        definition.fields.append(added)
        return added

    return add


def _definition(cls: type[Any]) -> StrawberryObjectDefinition:
    return get_object_definition(cls, strict=True)


def _described(source: type[T], cls: type[T]) -> type[T]:
    texts = _attribute_docstrings(source)
    for item in _definition(cls).fields:
        if item.description is None:
            item.description = texts.get(item.python_name)
    return cls


def _attribute_docstrings(cls: type[Any]) -> dict[str, str]:
    """The string literals that stand below the attributes or members of the class, own ones over inherited ones."""
    texts: dict[str, str] = {}
    for ancestor in reversed(cls.__mro__):
        if ancestor.__module__.partition(".")[0] in {"pytake_gql", "tests"}:
            texts |= _docstrings_in(ancestor.__module__).get(ancestor.__qualname__, {})
    return texts


@functools.cache
def _docstrings_in(module: str) -> dict[str, dict[str, str]]:
    """The strings below attributes, by the qualified name of their class.

    A module is parsed once for all its classes: `inspect.getsource` parses it for each, and that was a third of
    what a process took to start.
    """
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {name: _strings_below(statement) for name, statement in _classes(tree)}


def _classes(scope: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.ClassDef]]:
    for statement in ast.iter_child_nodes(scope):
        if isinstance(statement, ast.ClassDef):
            yield f"{prefix}{statement.name}", statement
            yield from _classes(statement, f"{prefix}{statement.name}.")
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _classes(statement, f"{prefix}{statement.name}.<locals>.")
        elif isinstance(statement, ast.stmt):
            yield from _classes(statement, prefix)


def _strings_below(cls: ast.ClassDef) -> dict[str, str]:
    return {
        name: inspect.cleandoc(below.value.value)
        for attribute, below in itertools.pairwise(cls.body)
        if (name := _assigned(attribute)) is not None
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def _assigned(statement: ast.stmt) -> str | None:
    """The name that an attribute, or a member of an enum, has."""
    if isinstance(statement, ast.AnnAssign):
        target: ast.expr = statement.target
    elif isinstance(statement, ast.Assign):
        target = statement.targets[0]
    else:
        return None
    return target.id if isinstance(target, ast.Name) else None
