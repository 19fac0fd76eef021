"""JSON as messages: what fits, what does not and where, and nothing but refusals for any text."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from oip.claims.v1 import claims_pb2
from oip.enrolment.v1 import enrolment_pb2
from oip.operations.v1 import operations_pb2
from oip.orders.v1 import orders_pb2

from services.gateway import json_messages
from services.kernel.problems import Kind, Problem

Enrol = enrolment_pb2.EnrolWorkersRequest
Find = orders_pb2.FindOrdersRequest
Sign = operations_pb2.SignActRequest
Upload = orders_pb2.UploadOrdersRequest
Create = claims_pb2.CreateClaimRequest


def refusal(of: type[Message], value: Any) -> tuple[str, str]:
    """Reason and field of the refusal."""
    with pytest.raises(Problem) as caught:
        json_messages.parse(json.dumps(value).encode(), of)
    assert caught.value.kind is Kind.MALFORMED
    return caught.value.reason, caught.value.field


@pytest.mark.parametrize(
    ("of", "value", "reason", "field"),
    [
        (Enrol, {"rows": [{}, {"colour": 1}]}, "JSON_FIELD_UNKNOWN", "rows[1].colour"),
        (Enrol, {"rows": {}}, "JSON_VALUE_WRONG", "rows"),
        (Enrol, {"rows": [None]}, "JSON_VALUE_WRONG", "rows"),
        (Enrol, {"rows": ["a"]}, "JSON_VALUE_WRONG", "rows[0]"),
        (Enrol, {"rows": [{"phone": 138}]}, "JSON_VALUE_WRONG", "rows[0].phone"),
        (Enrol, {"rows": [{"documentKind": "ID"}]}, "JSON_VALUE_WRONG", "rows[0].documentKind"),
        (Enrol, {"rows": [{"documentKind": 1.5}]}, "JSON_VALUE_WRONG", "rows[0].documentKind"),
        (Enrol, {"rows": [{"documentKind": True}]}, "JSON_VALUE_WRONG", "rows[0].documentKind"),
        (Enrol, {"requestId": "a", "request_id": "b"}, "JSON_NAME_TWICE", "request_id"),
        (Enrol, {"@type": "a"}, "JSON_FIELD_UNKNOWN", "@type"),
        (Enrol, {"[oip.type.v1.access]": {}}, "JSON_FIELD_UNKNOWN", "[oip.type.v1.access]"),
        (Find, {"moment": "2025-07-10"}, "JSON_VALUE_WRONG", "moment"),
        (Find, {"moment": "2025-07-10T25:00:00Z"}, "JSON_VALUE_WRONG", "moment"),
        (Find, {"moment": {"seconds": 1}}, "JSON_VALUE_WRONG", "moment"),
        (Find, {"margin": "1h"}, "JSON_VALUE_WRONG", "margin"),
        (Find, {"margin": 60}, "JSON_VALUE_WRONG", "margin"),
        (Find, {"margin": "99999999999999999999s"}, "JSON_VALUE_WRONG", "margin"),
        (Sign, {"hash": "a b"}, "JSON_VALUE_WRONG", "hash"),
        (Sign, {"hash": "AAAAA"}, "JSON_VALUE_WRONG", "hash"),
        (Sign, {"hash": 1}, "JSON_VALUE_WRONG", "hash"),
        (Upload, {"rows": {"rows": []}, "arrowIpc": ""}, "JSON_ONE_OF", "arrowIpc"),
        (Enrol, {"rows": [{"documentKind": "\ud800"}]}, "JSON_VALUE_WRONG", "rows[0].documentKind"),
        (Enrol, {"rows": [{"phone": "\ud800"}]}, "JSON_VALUE_WRONG", "rows[0].phone"),
        (Enrol, {"rows": [{"\ud800": 1}]}, "JSON_VALUE_WRONG", "request"),
        (Create, {"survivors": [{"alone": "true"}]}, "JSON_VALUE_WRONG", "survivors[0].alone"),
        (Create, {"deathDate": "2025-07-10"}, "JSON_VALUE_WRONG", "deathDate"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_field(
    of: type[Message], value: Any, reason: str, field: str
) -> None:
    assert refusal(of, value) == (reason, field)


def test_a_name_twice_is_found_at_once_among_many() -> None:
    """Comparing each name with each would take minutes, before anybody looks at the token."""
    text = ",".join(f'"{number}":1' for number in range(50_000))
    begin = time.monotonic()
    with pytest.raises(Problem) as caught:
        json_messages.parse(f'{{{text},"49999":2}}'.encode(), Enrol)

    assert caught.value.reason == "JSON_NAME_TWICE"
    assert "49999" in caught.value.sentence
    assert time.monotonic() - begin < 5


def test_names_in_both_spellings_nulls_and_all_forms_of_a_value_are_read() -> None:
    written = Find(worker="workers/1")
    written.moment.FromJsonString("2025-07-10T09:30:00+08:00")
    written.margin.FromJsonString("1.5s")
    text = '{"worker":"workers/1","moment":"2025-07-10T01:30:00Z","margin":"1.5s"}'

    assert json_messages.parse(text.encode(), Find) == written
    assert json_messages.parse(b'{"request_id":"a","platform":null}', Enrol).request_id == "a"
    assert json_messages.parse(b'{"hash":"-_8="}', Sign).hash == b"\xfb\xff"
    assert json_messages.parse(b'{"hash":"+/8"}', Sign).hash == b"\xfb\xff"
    number = json_messages.parse(b'{"rows":[{"documentKind":9}]}', Enrol)
    assert number.rows[0].document_kind == 9  # the service refuses it


def test_an_int64_keeps_every_digit() -> None:
    for text in ('{"worker":9007199254740993}', '{"worker":"9007199254740993"}'):
        row = json_messages.parse(text.encode(), orders_pb2.OrderRow)
        assert row.worker == 9007199254740993
        assert b'"worker":"9007199254740993"' in json_messages.dump(row)


def test_an_answer_has_fields_without_a_value_too() -> None:
    dumped = json.loads(json_messages.dump(orders_pb2.OrderBatch(name="a")))

    assert dumped["createdCount"] == "0"
    assert dumped["rejections"] == []
    assert "createTime" not in dumped


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["rows", "requestId", "documentKind", "enrolDate", "year", "phone"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


def refused(content: bytes) -> Problem | None:
    """The refusal of a text; None if it is a request."""
    try:
        json_messages.parse(content, Enrol)
    except Problem as problem:
        return problem
    return None


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_any_json_is_a_message_or_a_refusal(value: Any) -> None:
    problem = refused(json.dumps(value).encode())

    assert problem is None or (problem.kind is Kind.MALFORMED and problem.field)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_a_refusal(content: bytes) -> None:
    problem = refused(content)

    assert problem is None or problem.kind is Kind.MALFORMED
