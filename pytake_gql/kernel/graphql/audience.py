"""Whom one execution serves: callers who would all get the same (G1).

An execution begins by knowing the organization and the role only. What else a resolver asks of the caller is noted,
so that a result is shared by those who are equal in whatever it was made from, and a field that depends on the caller
need not say so: asking is saying.
"""

from collections.abc import Callable, Hashable
from enum import IntEnum
from typing import Any

from pytake_gql.kernel.principal import MemberPrincipal, Principal


class Disclosure(IntEnum):
    """How much of the caller an execution has asked for."""

    AUTHORITY = 0
    """Organization and role."""
    SCOPE = 1
    """Also which conversations the member sees."""
    MEMBER = 2
    """Also who it is."""


class DependsOnCaller(Exception):
    """What is executed for several members asked who the caller is: the result is thrown away."""


def audience(principal: Principal, disclosed: Disclosure) -> Hashable:
    """Equal for callers who are served by one execution that has asked for so much."""
    if not isinstance(principal, MemberPrincipal) or disclosed is Disclosure.MEMBER:
        return principal
    authority = (principal.organization_id, principal.role)
    return authority if disclosed is Disclosure.AUTHORITY else (*authority, principal.scope)


class _Asked:
    """An attribute of the caller that is told, and noted as asked for."""

    def __init__(self, name: str, disclosure: Disclosure) -> None:
        self._name, self._disclosure = name, disclosure

    def __get__(self, caller: "AnyMember | None", _owner: type) -> Any:
        return self if caller is None else getattr(caller.tell(self._disclosure), self._name)

    def __set__(self, _caller: "AnyMember", _value: object) -> None:
        raise AttributeError(self._name)


class AnyMember(MemberPrincipal):
    """Stands for all members that an execution serves.

    `tell` is called with what is asked for: it gives the member that answers for all of them, or raises
    `DependsOnCaller` where they differ in it.
    """

    __slots__ = ("tell",)
    tell: Callable[[Disclosure], MemberPrincipal]

    def __init__(self, one: MemberPrincipal, tell: Callable[[Disclosure], MemberPrincipal]) -> None:
        # Frozen, as every principal; and the generated initializer would set what is asked for.
        object.__setattr__(self, "organization_id", one.organization_id)
        object.__setattr__(self, "role", one.role)
        object.__setattr__(self, "tell", tell)

    __eq__ = object.__eq__
    __hash__ = object.__hash__
    __repr__ = object.__repr__


AnyMember.scope = _Asked("scope", Disclosure.SCOPE)  # type: ignore[assignment,misc]
for _name in ("member_id", "account_id", "session_id", "home_organization_id", "name"):
    setattr(AnyMember, _name, _Asked(_name, Disclosure.MEMBER))
