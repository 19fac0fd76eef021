"""One wrong row in a million is refused alone and named."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pyarrow as pa
import pytest

from services.client.upload.batches import split_into_batches
from services.orderlog.columns import ROWS_MAX
from services.runtime.base.settings import Settings
from tests.support.databases import Databases
from tests.support.intake_load import Serving, orders, serving_orders
from tests.support.killed_orders import SWIFT, ask, enrol
from tests.support.uploads import table_of
from tests.support.wrong_rows import KINDS, NAMES, wrong

ROWS = 1_000_000
# The position of the wrong row: at the ends of a batch or of all, and between.
PLACES = (0, ROWS - 1, ROWS_MAX - 1, ROWS_MAX, 7, 123_456, 500_001, 777_777, 999_998)
ANSWER_BYTES_MAX = 4096


@pytest.fixture(scope="module")
async def filled(stack: Settings, databases: Databases) -> Settings:
    settings = stack.model_copy(update={"database_url": await databases.fresh("orders")})
    await enrol(settings.database_url)
    return settings


@pytest.fixture(scope="module")
async def serving(filled: Settings) -> AsyncIterator[Serving]:
    """A separate process, as the platform's is: two cores have enough to do."""
    async with serving_orders(filled) as serving:
        yield serving
    # Every row that a receipt says was created is there, once.
    stored, told = "select count(*) from orders.orders", "select sum(created_count)::bigint from"
    url = filled.database_url
    assert await ask(url, stored) == await ask(url, f"{told} orders.order_batch")


@pytest.mark.parametrize(("kind", "place"), list(zip(KINDS, PLACES, strict=True)), ids=NAMES)
async def test_one_wrong_row_in_a_million_is_refused_alone_and_named(
    serving: Serving, kind: int, place: int
) -> None:
    sound = orders(ROWS - 1, prefix=f"{kind:02d}")
    row = table_of([wrong(kind, place)])
    table = pa.concat_tables([sound.slice(0, place), row, sound.slice(place)])
    batches = list(split_into_batches(table, f"million-{kind}", ROWS_MAX))

    _, receipts = await serving.upload({SWIFT: batches})

    assert sum(one.received_count for one in receipts) == ROWS
    assert sum(one.created_count for one in receipts) == ROWS - 1
    found = [
        (number * ROWS_MAX + one.index, one.status)
        for number, receipt in enumerate(receipts)
        for one in receipt.rejections
    ]
    assert found == [(place, kind)]
    assert sum(one.rejected_count for one in receipts) == 1
    assert max(one.ByteSize() for one in receipts) < ANSWER_BYTES_MAX
