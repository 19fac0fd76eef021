"""What a change rests on: the state of every resource that its transaction has read or locked.

The stores note it; a second signature names it, and any change in between voids the signature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

_noted: ContextVar[dict[str, str] | None] = ContextVar("noted", default=None)


def note(name: str, state: object) -> None:
    """Note the state in which the running change has read a resource; its first reading counts.

    `state` is a revision, or a value that is equal as long as nothing has changed. Outside of an
    act that may need a signature it is without effect.
    """
    noted = _noted.get()
    if noted is not None and name not in noted:
        noted[name] = str(state) if isinstance(state, int) else _digest(state)


@contextmanager
def noting() -> Iterator[Mapping[str, str]]:
    """Collect what is noted while the block runs, by the name of the resource."""
    noted: dict[str, str] = {}
    token = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(token)


def _digest(state: object) -> str:
    return hashlib.sha256(_text(state).encode()).hexdigest()[:32]


def _text(value: Any) -> str:
    """A text that is the same in each process for equal values."""
    if isinstance(value, Enum):
        return value.name
    if is_dataclass(value):
        parts = ",".join(f"{f.name}={_text(getattr(value, f.name))}" for f in fields(value))
        return f"{type(value).__name__}({parts})"
    if isinstance(value, Mapping):
        return "{" + ",".join(sorted(f"{_text(k)}:{_text(v)}" for k, v in value.items())) + "}"
    if isinstance(value, set | frozenset):
        return "{" + ",".join(sorted(map(_text, value))) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_text, value)) + "]"
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else str(value)
