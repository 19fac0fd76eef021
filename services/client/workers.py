"""From a platform's own worker numbers to the opaque ids that records carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc
from oip.enrolment.v1 import enrolment_pb2, enrolment_pb2_grpc

from services.orderlog.columns import SCHEMA

NUMBERS_PER_LOOK_UP = 10_000
UNKNOWN = 0


async def look_up_workers(
    stub: enrolment_pb2_grpc.EnrolmentServiceAsyncStub, platform: str, numbers: Iterable[str]
) -> dict[str, int]:
    """The workers' ids by the platform's own numbers; one that is not enrolled has none."""
    wanted = sorted(set(filter(None, numbers)))
    found: dict[str, int] = {}
    for start in range(0, len(wanted), NUMBERS_PER_LOOK_UP):
        asked = wanted[start : start + NUMBERS_PER_LOOK_UP]
        answer = await stub.LookUpWorkers(
            enrolment_pb2.LookUpWorkersRequest(
                platform=f"platforms/{platform}", worker_numbers=asked
            )
        )
        found |= {
            number: worker for number, worker in zip(asked, answer.workers, strict=True) if worker
        }
    return found


def with_workers(orders: pa.Table, known: Mapping[str, int]) -> pa.Table:
    """The table in the form of the proto, with ids for `worker_hint`; 0 where there is none.

    `file_row` stays beside the columns of the proto, if it is there.
    """
    hints, ids = pa.array(known, pa.string()), pa.array(known.values(), pa.int64())
    place = pc.index_in(orders["worker_hint"], value_set=hints)
    worker = pc.fill_null(pc.take(ids, place), UNKNOWN)
    names = [*SCHEMA.names, *({"file_row"} & set(orders.column_names))]
    return orders.append_column("worker", worker).select(names)
