"""What the service itself reads of a batch."""

from __future__ import annotations

import io
import re

import pyarrow as pa
import pytest
from google.protobuf.descriptor import FieldDescriptor
from oip.orders.v1 import orders_pb2 as pb

from services.kernel.problems import Problem
from services.orderlog.columns import ROWS_MAX, SCHEMA, check_size, from_arrow
from tests.support.platforms import SWIFT
from tests.support.uploads import as_rows, row

LENGTH_DELIMITED = {
    FieldDescriptor.TYPE_STRING,
    FieldDescriptor.TYPE_BYTES,
    FieldDescriptor.TYPE_MESSAGE,
}


def test_the_envelope_has_every_field_of_the_request_under_its_number() -> None:
    request, envelope = pb.UploadOrdersRequest.DESCRIPTOR, pb.UploadOrdersEnvelope.DESCRIPTOR

    assert {one.name: one.number for one in request.fields} == {
        one.name: one.number for one in envelope.fields
    }
    assert {one.type for one in (*request.fields, *envelope.fields)} <= LENGTH_DELIMITED


def test_the_envelope_keeps_the_rows_as_they_came() -> None:
    request = as_rows("b1", [row("o-1"), row("o-2")])

    envelope = pb.UploadOrdersEnvelope.FromString(request.SerializeToString())

    assert (envelope.batch_id, envelope.platform) == ("b1", f"platforms/{SWIFT}")
    assert list(envelope.rows) == [request.rows.SerializeToString()]
    assert not envelope.HasField("arrow_ipc")


@pytest.mark.parametrize(
    ("count", "reason"), [(0, "BATCH_SIZE_WRONG"), (ROWS_MAX + 1, "BATCH_TOO_LARGE")]
)
def test_a_batch_has_at_least_one_row_and_no_more_than_it_may(count: int, reason: str) -> None:
    check_size(1)
    check_size(ROWS_MAX)

    with pytest.raises(Problem) as caught:
        check_size(count)
    assert caught.value.reason == reason


@pytest.mark.parametrize("kind", ["nothing", "columns", "types"])
def test_what_is_wrong_with_a_stream_is_said_in_both_languages(kind: str) -> None:
    sink = io.BytesIO()
    fields = [("order_no", pa.int8())] if kind == "columns" else [*SCHEMA.remove(0)]
    schema = pa.schema([SCHEMA.field(0).with_type(pa.null()), *fields])
    if kind != "nothing":
        pa.ipc.new_stream(sink, schema).close()
    with pytest.raises(Problem) as caught:
        from_arrow(sink.getvalue())

    assert caught.value.reason == "BATCH_UNREADABLE"
    assert not re.search("[a-z]+ [a-z]+ [a-z]+", caught.value.sentence_zh)
