"""Rows that the service refuses, one for each reason that needs no other row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from oip.orders.v1 import orders_pb2 as pb

from tests.support.uploads import NINE, row

S = pb.OrderRejection
# Outside the range of any clock that a test uses.
FUTURE = datetime(2099, 1, 1, tzinfo=UTC)

KINDS: dict[int, dict[str, Any]] = {
    S.BAD_ORDER_NO: {"order_no": " "},
    S.BAD_REVISION: {"revision": 0},
    S.UNKNOWN_INDUSTRY: {"industry": 99},
    S.BAD_STATE: {"state": 99},
    S.BAD_ACCEPT_TIME: {"accept_time_us": 0},
    S.TIMES_OUT_OF_ORDER: {"ended": NINE - timedelta(seconds=1)},
    S.TIME_IN_FUTURE: {"accepted": FUTURE},
    S.UNKNOWN_PLACE: {"place_of_acceptance": 110105},
    S.WORKER_NOT_ENROLLED: {"worker": 999_999},
}
NAMES = [S.Status.Name(kind) for kind in KINDS]  # type: ignore[arg-type]


def wrong(kind: int, number: int) -> dict[str, Any]:
    """A row that is refused for this reason and no other."""
    return row(**{"order_no": f"w{kind}-{number}", **KINDS[kind]})
