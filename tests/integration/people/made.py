"""What every case of an act consists of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.support.stack_client import StackClient

MAKER = "li"

Call: TypeAlias = Callable[[], Awaitable[Any]]


@dataclass(frozen=True)
class Made:
    """An act ready to be made by MAKER, and the change of a resource that it reads."""

    service: str
    make: Call
    disturb: Call


@dataclass(frozen=True)
class ActCase:
    """A case of an act: the act by its outcome, the method that makes it, and its preparation."""

    act: str
    method: str
    prepare: Callable[[StackClient, int], Awaitable[Made]]
