"""The README of the service, and the events that it refuses."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from oip.orders.v1 import events_pb2, orders_pb2
from oip.type.v1 import type_pb2

import services
from services.kernel.problems import Malformed, OutOfRange
from services.premiums.commands.accruals import on_order_batch_recorded
from services.premiums.domain.bills import LIFECYCLE
from services.runtime.base.holidays import work_calendar
from services.runtime.rpc.wire import date_to_wire
from services.runtime.service.context import CommandContext
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.key_file import Keys

PLATFORM = "platforms/91110108MA01ABCD2H"
CONTEXT = CommandContext(
    now=datetime(2025, 8, 1, tzinfo=UTC),
    actor="services/orders",
    province="440000",
    cipher=ColumnCipher(Keys({"k1": bytes(32)}, "k1", b"i" * 32)),
    calendar=work_calendar(),
)
NO_TRANSACTION: Any = None


def a_batch(changes: dict[str, Any], platform: str = PLATFORM) -> events_pb2.OrderBatchRecorded:
    tally = {
        "platform": PLATFORM,
        "pooling_area": "440100",
        "industry": type_pb2.RIDE_HAILING,
        "service_date": date_to_wire(date(2025, 7, 1)),
        "order_count": 1,
    }
    return events_pb2.OrderBatchRecorded(
        order_batch="b", platform=platform, tallies=[orders_pb2.OrderTally(**(tally | changes))]
    )


def test_the_readme_shows_the_lifecycle_that_the_program_walks() -> None:
    readme = Path(services.__path__[0], "premiums", "README.md").read_text(encoding="utf-8")

    assert LIFECYCLE.diagram() in readme


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"industry": type_pb2.INDUSTRY_UNSPECIFIED}, "tallies[0].industry"),
        ({"platform": "platforms/91350100M000100Y43"}, "tallies[0].platform"),
        ({"service_date": None}, "tallies[0].service_date"),
    ],
)
async def test_a_tally_that_cannot_be_read_is_named_and_not_counted(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(Malformed) as caught:
        await on_order_batch_recorded(NO_TRANSACTION, a_batch(changes), CONTEXT)

    assert caught.value.field == field


@pytest.mark.parametrize("year", [1925, 2199])
async def test_a_tally_of_another_century_is_not_counted(year: int) -> None:
    batch = a_batch({"service_date": date_to_wire(date(year, 7, 1))})

    with pytest.raises(OutOfRange):
        await on_order_batch_recorded(NO_TRANSACTION, batch, CONTEXT)


async def test_a_batch_whose_platform_is_not_a_resource_name_is_refused() -> None:
    batch = a_batch({}, platform="91110108MA01ABCD2H")

    with pytest.raises(Malformed) as caught:
        await on_order_batch_recorded(NO_TRANSACTION, batch, CONTEXT)

    assert caught.value.field == "platform"
