"""An Arrow stream is cut at its record batches, and anything else is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.arrow_stream import record_batches
from services.kernel.problems import Problem

MOST = 1 << 20


def stream_of(table: pa.Table, rows: int = 4) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)
    content: bytes = sink.getvalue().to_pybytes()
    return content


TABLE = pa.table({"order_no": [str(number) for number in range(10)], "worker": list(range(10))})
STREAM = stream_of(TABLE)


async def cut(content: bytes, size: int = 7, most: int = MOST) -> list[bytes]:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), size):
            yield content[start : start + size]

    return [each async for each in record_batches(pieces(), most)]


async def test_each_record_batch_is_a_stream_with_the_same_schema() -> None:
    parts = [pa.ipc.open_stream(each).read_all() for each in await cut(STREAM)]

    assert [part.num_rows for part in parts] == [4, 4, 2]
    assert pa.concat_tables(parts).equals(TABLE)


async def test_a_stream_without_its_end_mark_is_complete_after_a_whole_batch() -> None:
    assert await cut(STREAM[:-8]) == await cut(STREAM)


async def refused(content: bytes, size: int = 7, most: int = MOST) -> str:
    """The reason of the refusal; empty for a stream that is taken."""
    try:
        await cut(content, size, most)
    except Problem as problem:
        return problem.reason
    return ""


# A stream may also end after its schema or after a record batch.
ENDS = (len(stream_of(TABLE.slice(0, 0))) - 8, len(stream_of(TABLE.slice(0, 4))) - 8)


@pytest.mark.parametrize("length", sorted({*range(1, len(STREAM) - 8, 13), *ENDS}))
async def test_a_stream_that_breaks_off_is_refused(length: int) -> None:
    is_whole = length in ENDS

    assert await refused(STREAM[:length]) == ("" if is_whole else "ARROW_UNREADABLE")


async def test_a_record_batch_above_the_limit_is_refused() -> None:
    most = len(stream_of(TABLE.slice(0, 4)))

    assert await refused(STREAM, most=most) == ""
    assert await refused(STREAM, most=most - 1) == "RECORD_BATCH_TOO_LARGE"


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(STREAM) - 1), st.integers(0, 255)), max_size=6))
async def test_a_damaged_stream_is_cut_or_refused(changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(STREAM)
    for place, value in changes:
        damaged[place] = value

    assert await refused(bytes(damaged), 64) in {
        "",
        "ARROW_UNREADABLE",
        "ARROW_HAS_DICTIONARY",
        "RECORD_BATCH_TOO_LARGE",
    }
