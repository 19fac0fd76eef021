"""From a platform's worker numbers to the opaque ids of workers in records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc
from oip.enrolment.v1 import enrolment_pb2, enrolment_pb2_grpc

from services.orderlog.columns import SCHEMA

NUMBERS_PER_LOOK_UP = 10_000
UNKNOWN = 0
# How many numbers are tried with leading zeros, and up to which length.
NUMBERS_TRIED = 100
WIDTH_TRIED_MAX = 12


async def look_up_workers(
    stub: enrolment_pb2_grpc.EnrolmentServiceAsyncStub, platform: str, numbers: Iterable[str]
) -> dict[str, int]:
    """The workers' ids by the platform's numbers; a worker who is not enrolled is left out."""
    distinct = sorted(set(filter(None, numbers)))
    workers: dict[str, int] = {}
    for start in range(0, len(distinct), NUMBERS_PER_LOOK_UP):
        lot = distinct[start : start + NUMBERS_PER_LOOK_UP]
        answer = await stub.LookUpWorkers(
            enrolment_pb2.LookUpWorkersRequest(platform=f"platforms/{platform}", worker_numbers=lot)
        )
        workers |= {
            number: worker for number, worker in zip(lot, answer.workers, strict=True) if worker
        }
    return workers


async def look_up_padded(
    stub: enrolment_pb2_grpc.EnrolmentServiceAsyncStub, platform: str, numbers: Iterable[str]
) -> dict[str, str]:
    """Numbers that are not enrolled, but are with leading zeros: a spreadsheet dropped these.

    Some of the numbers are tried, not all.
    """
    short = sorted(number for number in numbers if number.isdecimal())[:NUMBERS_TRIED]
    padded = {
        number.zfill(width): number
        for number in short
        for width in range(len(number) + 1, WIDTH_TRIED_MAX + 1)
    }
    enrolled = await look_up_workers(stub, platform, padded)
    return {padded[number]: number for number in enrolled}


def with_workers(orders: pa.Table, known: Mapping[str, int]) -> pa.Table:
    """The table in the form of the proto: `worker`, 0 for unknown, in place of `worker_hint`.

    A column `file_row` is kept.
    """
    hints, ids = pa.array(known, pa.string()), pa.array(known.values(), pa.int64())
    place = pc.index_in(orders["worker_hint"], value_set=hints)
    worker = pc.fill_null(pc.take(ids, place), UNKNOWN)
    names = [*SCHEMA.names, *({"file_row"} & set(orders.column_names))]
    return orders.append_column("worker", worker).select(names)
