"""Refusals: each has a kind, a reason and facts; an interceptor maps it to a gRPC status."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar


class Kind(Enum):
    """The kinds of refusal; each has a canonical gRPC code."""

    MALFORMED = "INVALID_ARGUMENT"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "PERMISSION_DENIED"
    NOT_FOUND = "NOT_FOUND"
    DIFFERENT_EXISTS = "ALREADY_EXISTS"
    NOT_ALLOWED_NOW = "FAILED_PRECONDITION"
    RACED = "ABORTED"
    OVERLOADED = "RESOURCE_EXHAUSTED"
    TOO_LARGE = "TOO_LARGE"

    @property
    def code(self) -> str:
        """The gRPC code. TOO_LARGE shares that of OVERLOADED, but a repeat does not help."""
        return Kind.OVERLOADED.value if self is Kind.TOO_LARGE else self.value


class Problem(Exception):  # noqa: N818 - a refusal is not an error of the program
    """A refusal. Subclasses set `kind`, `reason`, `message` and `message_zh`.

    `message` is one English sentence that says what to do, `message_zh` the same in Chinese; the
    facts of the instance fill their placeholders. `field` names the wrong request field, if any.
    """

    kind: ClassVar[Kind]
    reason: ClassVar[str]
    message: ClassVar[str]
    message_zh: ClassVar[str]

    def __init__(self, *, field: str = "", **facts: object) -> None:
        """Store the facts as text; they become the metadata of `google.rpc.ErrorInfo`."""
        self.field = field
        self.facts = {name: str(value) for name, value in facts.items()}
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        """The sentence for people in English."""
        return self.message.format_map(self.facts)

    @property
    def sentence_zh(self) -> str:
        """The sentence for people in Chinese."""
        return self.message_zh.format_map(self.facts)


class Malformed(Problem):
    """A field of a request is missing or cannot be read."""

    kind, reason = Kind.MALFORMED, "MALFORMED"
    message = "{field_name}: {what}."
    message_zh = "{field_name} 有误: {what}。"

    @classmethod
    def of(cls, field: str, what: str) -> Malformed:
        """`Malformed.of("month", "write it as year and month, for example 2025-07")`."""
        return cls(field=field, field_name=field, what=what)


class NotFound(Problem):
    """The resource does not exist, or the caller may not see it."""

    kind, reason = Kind.NOT_FOUND, "NOT_FOUND"
    message = "There is no {name}; check the name, or list what exists."
    message_zh = "不存在 {name}; 请核对名称或先查询列表。"


class Forbidden(Problem):
    """The caller may not do this."""

    kind, reason = Kind.FORBIDDEN, "FORBIDDEN"
    message = "{what}; ask an administrator for the role, or use another account."
    message_zh = "无权办理: {what}。"
