"""Refusals: each has a kind, a reason and facts; an interceptor maps it to a gRPC status."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any, ClassVar, Protocol

from services.kernel.phrases import FieldPath, Language, Phrase, fill, metadata


class Ordered(Protocol):
    """A value with an order: a day, or a month."""

    def __le__(self, other: Any, /) -> bool: ...


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
    TOO_LATE = "DEADLINE_EXCEEDED"

    @property
    def code(self) -> str:
        """The gRPC code. TOO_LARGE shares that of OVERLOADED, but a repeat does not help."""
        return Kind.OVERLOADED.value if self is Kind.TOO_LARGE else self.value


class Problem(Exception):  # noqa: N818 - a refusal is not an error of the program
    """A refusal. Subclasses set `kind`, `reason`, `message` and `message_zh`.

    `message` is one English sentence that says what to do, `message_zh` the same in Chinese; the
    facts of the instance fill their placeholders (phrases.py says how). `field` names the wrong
    request field, if any.
    """

    kind: ClassVar[Kind]
    reason: ClassVar[str]
    message: ClassVar[str]
    message_zh: ClassVar[str]

    def __init__(self, *, field: str = "", **facts: object) -> None:
        """Keep the facts: words in the sentences, codes and values in the metadata."""
        self.field = field
        self._facts = facts
        super().__init__(self.sentence)

    @property
    def facts(self) -> dict[str, str]:
        """The facts for programs: the metadata of `google.rpc.ErrorInfo`."""
        return metadata(self._facts)

    @property
    def sentence(self) -> str:
        """The sentence for people in English."""
        return fill(self.message, self._facts, Language.EN)

    @property
    def sentence_zh(self) -> str:
        """The sentence for people in Chinese."""
        return fill(self.message_zh, self._facts, Language.ZH)


class Malformed(Problem):
    """A field of a request cannot be read, or contradicts another one.

    `what` is a phrase, whose code says which case it is: programs branch on it. It is also the
    reason of the field's violation in `google.rpc.BadRequest`.
    """

    kind, reason = Kind.MALFORMED, "MALFORMED"
    message = "{field_name}: {what}."
    message_zh = "{field_name} 有误: {what}。"

    @classmethod
    def of(cls, field: str, case: str, en: str, zh: str, **facts: object) -> Malformed:
        """`Malformed.of("month", "NOT_A_MONTH", "write it as {form}", "请写作 {form}", form=…)`."""
        return cls(field=field, field_name=FieldPath(field), what=Phrase(case, en, zh, facts))

    @classmethod
    def choice(cls, field: str, choices: Iterable[Enum | Phrase]) -> Malformed:
        """A value that is none of these."""
        return cls.of(
            field,
            "NOT_A_CHOICE",
            "choose one of {choices}",
            "请从以下各项中选择: {choices}",
            choices=tuple(choices),
        )

    @classmethod
    def form(cls, field: str, form: str) -> Malformed:
        """A text of another form than this one: a resource name, a month."""
        return cls.of(field, "WRONG_FORM", "write it as {form}", "请写作 {form}", form=form)

    @classmethod
    def leave_out(cls, field: str, case: str, en: str, zh: str) -> Malformed:
        """A field that must be empty here, with the reason why."""
        why = Phrase(case, en, zh)
        return cls.of(field, case, "leave it out: {why}", "请勿填写: {why}", why=why)


class FieldMissing(Problem):
    """A field that a method needs is missing."""

    kind, reason = Kind.MALFORMED, "FIELD_MISSING"
    message = "{field_name} is missing; fill it in."
    message_zh = "缺少 {field_name}; 请填写。"

    @classmethod
    def of(cls, field: str) -> FieldMissing:
        """The field that is missing."""
        return cls(field=field, field_name=FieldPath(field))


class GivenTwice(Problem):
    """Two items of a list are about the same."""

    kind, reason = Kind.MALFORMED, "GIVEN_TWICE"
    message = "{field_name} names the same twice; give each once."
    message_zh = "{field_name} 有重复; 每项只能填写一次。"

    @classmethod
    def of(cls, field: str) -> GivenTwice:
        """The list, or the second of the items."""
        return cls(field=field, field_name=FieldPath(field))


class OutOfRange(Problem):
    """A day, a month or a number lies outside what it belongs to."""

    kind, reason = Kind.MALFORMED, "OUT_OF_RANGE"
    message = "{field_name}: {value} is not within {first} to {last}; check it and correct it."
    message_zh = "{field_name}: {value} 不在 {first} 至 {last} 之内; 请核对更正。"

    @classmethod
    def of(cls, field: str, value: object, first: object, last: object) -> OutOfRange:
        """A value outside `first` to `last`."""
        name = FieldPath(field)
        return cls(field=field, field_name=name, value=value, first=first, last=last)


def require_within(field: str, value: Ordered, first: Ordered, last: Ordered) -> None:
    """Refuse a day or a month outside the days or months from `first` to `last`."""
    if not first <= value <= last:
        raise OutOfRange.of(field, value, first, last)


class NotFound(Problem):
    """The resource does not exist, or the caller may not see it."""

    kind, reason = Kind.NOT_FOUND, "NOT_FOUND"
    message = "There is no {name}; check the name, or list what exists."
    message_zh = "不存在 {name}; 请核对名称或先查询列表。"


class Forbidden(Problem):
    """The caller may not do this."""

    kind, reason = Kind.FORBIDDEN, "FORBIDDEN"
    message = "{what}; ask an administrator for the role, or use another account."
    message_zh = "无权办理: {what}; 请向管理员申请角色, 或使用其他账号。"

    @classmethod
    def of(cls, case: str, en: str, zh: str, **facts: object) -> Forbidden:
        """`Forbidden.of("NO_ROLE", "no role may call this method", "任何角色均不得调用该接口")`."""
        return cls(what=Phrase(case, en, zh, facts))


class PlatformNotRegistered(Problem):
    """The platform must be registered first: enrolment and orders refuse it."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "PLATFORM_NOT_REGISTERED"
    message = (
        "{name} is not registered with the scheme; check the credit code, or ask the agency "
        "to register the platform first."
    )
    message_zh = "{name} 尚未登记; 请核对统一社会信用代码, 或先向经办机构登记。"


class ValuesNotConfirmed(Problem):
    """In production, money moves only on assumed values that the province has confirmed."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "VALUES_NOT_CONFIRMED"
    message = (
        "{act} uses assumed values that the province has not confirmed: {parameters}; confirm them "
        "with `oip law confirm`, or enter the province's own values with their source."
    )
    message_zh = (
        "{act} 使用了本省尚未确认的暂定参数取值: {parameters}; "
        "请用 `oip law confirm` 确认, 或录入本省取值及其来源。"
    )
