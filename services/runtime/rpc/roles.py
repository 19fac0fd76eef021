"""The roles of tokens: numbers, the names by which people write them, and their titles."""

from __future__ import annotations

from typing import cast

from oip.type.v1 import type_pb2

from services.kernel.phrases import Phrase, label


def role_of(text: str) -> int:
    """The role written in lower case, as tokens carry it: `fund_officer`; ValueError if none."""
    name = text.upper()
    if name not in type_pb2.Access.Role.keys() or name == "ROLE_UNSPECIFIED":  # noqa: SIM118 - an enum wrapper is no mapping
        message = f"{text} is not a role; the roles are {', '.join(role_names())}"
        raise ValueError(message)
    return type_pb2.Access.Role.Value(name)


def role_names() -> list[str]:
    """All roles as tokens carry them."""
    return [name.lower() for name in type_pb2.Access.Role.keys()[1:]]


def role_name(role: int) -> str:
    """The role's name in lower case."""
    return type_pb2.Access.Role.Name(cast("type_pb2.Access.Role.ValueType", role)).lower()


def role_label(role: int) -> Phrase:
    """The role as people write it, and in Chinese by its title."""
    name = role_name(role)
    return Phrase(name, name, label("oip.type.v1.Access.Role", name.upper()).zh)
