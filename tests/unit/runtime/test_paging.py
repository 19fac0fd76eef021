"""Pages of a list: a typed key comes back as it went, and nothing else passes for a token."""

from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oip.fund.v1 import fund_pb2
from oip.operations.v1 import operations_pb2

from services.kernel.periods import Month
from services.runtime.rpc.paging import INTEGER_MAX, Page, PageTokenInvalid, page_of

List = operations_pb2.ListDeadLettersRequest
MOMENT = datetime(2025, 7, 1, 8, 30, 15, 123456, tzinfo=UTC)
KEY: tuple[Any, ...] = (MOMENT, date(2024, 2, 29), Month(2025, 7), -12, "claims/é")
KINDS = (datetime, date, Month, int, str)


def token_for(*values: object, request: List | None = None) -> str:
    """A token of the right query, with whatever values."""
    return token_of([page_of(request or List()).query, *values])


def token_of(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


def require_refused(token: str, *kinds: type, request: List | None = None) -> None:
    paged = List()
    paged.CopyFrom(request or List())
    paged.page_token = token
    with pytest.raises(PageTokenInvalid) as refusal:
        page_of(paged, *(kinds or (str,)))
    assert refusal.value.field == "page_token"


def test_a_list_without_a_page_size_gets_a_hundred_rows_and_never_more_than_a_thousand() -> None:
    assert page_of(List()).size == 100
    assert page_of(List(page_size=5000)).size == 1000
    assert page_of(List(page_size=7)).size == 7


def test_the_first_page_has_no_key() -> None:
    page = page_of(List(), *KINDS)

    assert page.is_first
    assert page.after == ()


def test_each_kind_of_key_comes_back_as_it_went() -> None:
    token = page_of(List()).token(KEY)
    page = page_of(List(page_token=token, page_size=3), *KINDS)

    assert page.after == KEY
    assert [type(value) for value in page.after] == list(KINDS)
    assert not page.is_first


@given(
    st.datetimes(timezones=st.just(UTC)),
    st.dates(),
    st.integers(-INTEGER_MAX, INTEGER_MAX),
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=60),
)
def test_any_key_comes_back_as_it_went(moment: datetime, day: date, number: int, text: str) -> None:
    token = page_of(List()).token((moment, day, number, text))

    page = page_of(List(page_token=token), datetime, date, int, str)

    assert page.after == (moment, day, number, text)


def test_a_moment_keeps_its_zone_and_microseconds() -> None:
    shanghai = MOMENT.astimezone(timezone(timedelta(hours=8)))
    token = page_of(List()).token((shanghai,))

    (moment,) = page_of(List(page_token=token), datetime).after

    assert moment == MOMENT
    assert moment.microsecond == 123456


def test_a_full_page_has_a_token_of_its_last_row_and_a_short_one_has_none() -> None:
    page = Page(size=2, query=page_of(List()).query)

    token = page.next_token(["a", "b"], lambda row: (row,))

    assert page_of(List(page_token=token), str).after == ("b",)
    assert page.next_token(["a"], lambda row: (row,)) == ""
    assert page.next_token([], lambda row: (row,)) == ""


def test_the_page_size_may_change_from_page_to_page() -> None:
    token = page_of(List(page_size=2)).token(("a",))

    assert page_of(List(page_size=500, page_token=token), str).after == ("a",)


def test_a_token_of_another_list_is_refused() -> None:
    require_refused(page_of(fund_pb2.ListSettlementPeriodsRequest()).token(("a",)))


def test_a_token_of_another_filter_is_refused() -> None:
    resolved = List(include_resolved=True)

    require_refused(page_of(List()).token(("a",)), request=resolved)
    require_refused(page_of(resolved).token(("a",)))


def test_a_token_of_another_key_is_refused() -> None:
    token = page_of(List()).token(("a", 1))

    for kinds in ((str,), (str, int, int), (int, str), (date, int), (str, Month)):
        require_refused(token, *kinds)


@pytest.mark.parametrize(
    "token",
    ["x", "é", "e30=", "W10=", "WzFd", "////", "[1]", "=", " ", "a" * 2048],
)
def test_a_token_that_was_not_made_here_is_refused(token: str) -> None:
    require_refused(token)


@pytest.mark.parametrize("content", [None, 1, "a", {}, [], [1], [None], [[]], {"a": 1}])
def test_a_token_with_other_content_is_refused(content: object) -> None:
    require_refused(token_of(content))


def test_bytes_that_are_no_text_are_refused() -> None:
    require_refused(base64.urlsafe_b64encode(b'["\xff\xfe"]').decode())


def test_deep_nesting_is_refused() -> None:
    for depth in (100, 700):
        text = "[" * depth + "]" * depth
        require_refused(base64.urlsafe_b64encode(text.encode()).decode())


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (7, str),
        (None, str),
        (["a"], str),
        ("a\x00b", str),
        ("1" * 1400, int),
        (str(INTEGER_MAX + 1), int),
        (str(-INTEGER_MAX - 1), int),
        ("1.5", int),
        ("1e400", int),
        ("", int),
        (12, int),
        ("2025-07-01T08:30:00", datetime),
        ("2025-07-01", datetime),
        ("yesterday", datetime),
        ("2025-02-29", date),
        ("2025-07-01T08:30:00+00:00", date),
        ("0000-01-01", date),
        ("2025-13", Month),
        ("2025-07-01", Month),
        ("", Month),
    ],
)
def test_a_value_that_is_not_of_its_kind_is_refused(value: object, kind: type) -> None:
    require_refused(token_for(value), kind)


def test_a_character_that_utf_8_cannot_hold_is_refused() -> None:
    require_refused(token_for("\ud800"))
