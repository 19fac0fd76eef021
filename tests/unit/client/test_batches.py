from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from services.client.upload.batches import CONTENT_BYTES_MAX, Batch, split_into_batches
from services.orderlog.columns import SCHEMA


def table(count: int, first: int = 1, worker: int = 7, reason: str = "") -> pa.Table:
    moment = pa.array([0] * count, pa.timestamp("us", tz="UTC"))
    columns = {
        "order_no": pa.array([f"o-{number}" for number in range(first, first + count)]),
        "revision": pa.array([1] * count, pa.int32()),
        "worker": pa.array([worker] * count, pa.int64()),
        "industry": pa.array([1] * count, pa.int8()),
        "state": pa.array([2] * count, pa.int8()),
        "accept_time": moment,
        "pick_up_time": moment,
        "end_time": moment,
        "place_of_acceptance": pa.array([440100] * count, pa.int32()),
        "reason": pa.array([reason] * count, pa.string()),
        "file_row": pa.array(range(first, first + count), pa.int64()),
    }
    return pa.table(columns)


def order_numbers(batch: Batch) -> list[str]:
    with pa.ipc.open_stream(batch.content) as reader:
        assert reader.schema == SCHEMA
        return reader.read_all()["order_no"].to_pylist()  # type: ignore[no-any-return]


def test_batches_are_the_same_however_the_rows_are_handed_over() -> None:
    whole = list(split_into_batches(table(25), "r", rows_per_batch=10))
    pieces = list(
        split_into_batches(
            [table(7), table(14, first=8), table(4, first=22)], "r", rows_per_batch=10
        )
    )

    assert whole == pieces
    assert [batch.row_count for batch in whole] == [10, 10, 5]
    assert order_numbers(whole[2]) == [f"o-{number}" for number in range(21, 26)]
    assert list(whole[1].file_rows) == list(range(11, 21))


def test_rows_that_changed_make_a_batch_of_another_id() -> None:
    (first,), (same,), (changed,) = (
        split_into_batches(table(3, worker=one), "r") for one in (7, 7, 8)
    )

    assert first.batch_id == same.batch_id
    assert first.batch_id != changed.batch_id


def test_a_batch_is_made_only_when_it_is_asked_for() -> None:
    table_count = 0

    def tables() -> Iterator[pa.Table]:
        nonlocal table_count
        for number in range(100):
            table_count += 1
            yield table(10, first=10 * number + 1)

    next(split_into_batches(tables(), "r", rows_per_batch=10))

    assert table_count == 1


def test_a_batch_that_would_be_too_long_is_halved() -> None:
    batches = list(split_into_batches(table(10, reason="x" * 1_000_000), "r"))

    assert [number for batch in batches for number in order_numbers(batch)] == [
        f"o-{number}" for number in range(1, 11)
    ]
    assert all(len(batch.content) <= CONTENT_BYTES_MAX for batch in batches)
    assert len({batch.batch_id for batch in batches}) == len(batches)


@pytest.mark.parametrize("run", ["", "x" * 41, "a b", "-a"])
def test_a_run_that_makes_no_batch_id_is_refused(run: str) -> None:
    with pytest.raises(ValueError, match="1 to 40"):
        next(split_into_batches(table(1), run))


def test_the_longest_run_makes_an_id_within_the_rule() -> None:
    (batch,) = split_into_batches(table(1), "x" * 40)

    assert len(batch.batch_id) <= 63
