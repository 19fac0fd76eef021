"""Pages of a list: the page size, the key after which a page starts, the token of the next page.

A token carries the key of the last row and a hash of its query. A token of another list or filter,
or one that was not created here, is refused as PAGE_TOKEN_INVALID and never reaches SQL.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message

from services.kernel.periods import Month
from services.kernel.problems import Kind, Problem

PAGE_SIZE = 100
PAGE_SIZE_MAX = 1000
INTEGER_MAX = 2**63 - 1
QUERY_HASH_LENGTH = 12

R = TypeVar("R")


class PageTokenInvalid(Problem):
    """A page token is broken, or it belongs to another list or to other filters."""

    kind, reason = Kind.MALFORMED, "PAGE_TOKEN_INVALID"
    message = (
        "The page token is not of this list; send the token of the previous page, unchanged, "
        "with the same filters, or none to begin again."
    )
    message_zh = "分页标记不属于此列表; 请以相同的筛选条件原样发送上一页的标记, 或留空重新开始。"


class PagedRequest(Protocol):
    """Any list request."""

    @property
    def page_size(self) -> int:
        """At most this many; 0 means 100."""

    @property
    def page_token(self) -> str:
        """From the previous response; empty for the first page."""


@dataclass(frozen=True)
class Page:
    """A page of a list: its size and the key of the last row of the previous page, if any."""

    size: int
    after: tuple[Any, ...] = ()
    query: str = ""

    @property
    def is_first(self) -> bool:
        """Whether the list starts here."""
        return not self.after

    def next_token(self, rows: Sequence[R], key: Callable[[R], Sequence[object]]) -> str:
        """The token after these rows; empty if the page is not full, so that the list ends."""
        if len(rows) < self.size:
            return ""
        return self.token(key(rows[-1]))

    def token(self, key: Sequence[object]) -> str:
        """The token of the page that follows the row with this key."""
        values = [self.query, *(_write(value) for value in key)]
        text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode()


def page_of(request: PagedRequest, *kinds: type) -> Page:
    """The page of a list request; `kinds` are the types of the list's key, in order.

    Kinds are str, int, date, datetime and Month. Raises PageTokenInvalid for a token that does not
    belong to this query.
    """
    size = min(request.page_size or PAGE_SIZE, PAGE_SIZE_MAX)
    query = _query_hash(request)
    if not request.page_token:
        return Page(size, (), query)
    return Page(size, _key(request.page_token, query, kinds), query)


def _query_hash(request: PagedRequest) -> str:
    """A hash over the request without its paging fields."""
    if not isinstance(request, Message):
        raise TypeError(type(request).__name__)
    query = type(request)()
    query.CopyFrom(request)
    query.ClearField("page_size")
    query.ClearField("page_token")
    digest = hashlib.sha256(request.DESCRIPTOR.full_name.encode())
    digest.update(b"\x00" + query.SerializeToString(deterministic=True))
    return digest.hexdigest()[:QUERY_HASH_LENGTH]


def _key(token: str, query: str, kinds: Sequence[type]) -> tuple[Any, ...]:
    try:
        token_query, *values = _values(token)
        if token_query == query:
            return tuple(_read(value, kind) for value, kind in zip(values, kinds, strict=True))
    except (binascii.Error, UnicodeError, ValueError, RecursionError):
        pass
    raise PageTokenInvalid(field="page_token")


def _values(token: str) -> list[str]:
    """The values in a token: query hash, then key; raises ValueError for other texts."""
    text = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    values = json.loads(text)
    if not isinstance(values, list) or not values:
        raise ValueError(text)
    return values


def _write(value: object) -> str:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)


def _read(value: object, kind: type) -> Any:
    """A key value as its kind; raises ValueError."""
    if not isinstance(value, str) or "\x00" in value:
        raise ValueError(value)
    # A lone surrogate passes JSON and is not UTF-8; UnicodeEncodeError is a ValueError.
    value.encode()
    if kind is int:
        number = int(value)
        if abs(number) > INTEGER_MAX:
            raise ValueError(number)
        return number
    if kind is datetime:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError(value)
        return moment
    if kind is date:
        return date.fromisoformat(value)
    if kind is Month:
        return Month.parse(value)
    return value
