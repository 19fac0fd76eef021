"""What cannot be done has a kind, a reason and facts. An entrance turns it into a gRPC status."""

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
        """The gRPC code. What is too large has that of overload, but another try does not help."""
        return Kind.OVERLOADED.value if self is Kind.TOO_LARGE else self.value


class Problem(Exception):  # noqa: N818 - a refusal is not an error of the program
    """A refusal. Subclasses set `kind`, `reason` and `words`; instances carry the facts.

    `words` is one English sentence that says what to do, `message_zh` the same in Chinese; both are
    filled in with the facts. `field` names the request field that is wrong, if there is one.
    """

    kind: ClassVar[Kind]
    reason: ClassVar[str]
    message: ClassVar[str]
    message_zh: ClassVar[str]

    def __init__(self, *, field: str = "", **facts: object) -> None:
        """Keep the facts as text; they travel as the metadata of `google.rpc.ErrorInfo`."""
        self.field = field
        self.facts = {name: str(value) for name, value in facts.items()}
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        """The sentence for people, in English."""
        return self.message.format_map(self.facts)

    @property
    def sentence_zh(self) -> str:
        """The sentence for people, in Chinese."""
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
    """There is no such resource, or the caller may not know of it."""

    kind, reason = Kind.NOT_FOUND, "NOT_FOUND"
    message = "There is no {name}; check the name, or list what exists."
    message_zh = "不存在 {name}; 请核对名称或先查询列表。"


class Forbidden(Problem):
    """The caller may not do this."""

    kind, reason = Kind.FORBIDDEN, "FORBIDDEN"
    message = "{what}; ask an administrator for the role, or use another account."
    message_zh = "无权办理: {what}。"
