"""A receipt that was recorded by mistake is reversed, and all is as if it had never been."""

from __future__ import annotations

from datetime import date

import pytest
from oip.premiums.v1 import premiums_pb2 as pb
from oip.type.v1 import type_pb2

from services.kernel.money import Fen
from tests.integration.premiums.builders import (
    SWIFT,
    assess,
    assign_band,
    get_bill,
    get_standing,
    july_of_swift,
    officer,
    receive,
)
from tests.support.stack_client import StackClient, refused

PAID, LATE = date(2025, 8, 4), date(2025, 9, 20)
BILL = Fen.of_yuan("34567.89").count


@pytest.fixture(autouse=True)
async def july(client: StackClient) -> None:
    await july_of_swift(client)
    await assess(client, 2025, 7)


async def reverse(
    client: StackClient, receipt: pb.PremiumReceipt, request_id: str = ""
) -> pb.PremiumReceipt:
    return await officer(client).ReversePremiumReceipt(
        pb.ReversePremiumReceiptRequest(
            request_id=request_id or client.new_id(),
            name=receipt.name,
            code=type_pb2.WRONG_AMOUNT,
            reason="a digit too many",
        )
    )


async def whole(client: StackClient) -> tuple[object, ...]:
    """Bill, standing and credit of the platform, without the count of changes."""
    bill = await get_bill(client, SWIFT, "2025-07")
    bill.ClearField("revision")
    return bill, await get_standing(client, SWIFT, "2025-07", LATE)


@pytest.mark.parametrize("day", [PAID, LATE], ids=["in time", "late"])
@pytest.mark.parametrize("fen", [1, BILL - 1, BILL, BILL * 2])
async def test_a_reversed_receipt_is_as_if_it_had_never_been(
    client: StackClient, day: date, fen: int
) -> None:
    client.set_day(LATE)
    before = await whole(client)
    receipt = await receive(client, SWIFT, "2025-07", day, fen, reference="B-1")

    mirror = await reverse(client, receipt)

    assert await whole(client) == before
    assert (mirror.reverses, mirror.amount_fen) == (receipt.name, -fen)
    right = await receive(client, SWIFT, "2025-07", day, BILL, reference="B-1")
    assert right.name not in {receipt.name, mirror.name}
    again = await receive(client, SWIFT, "2025-07", day, BILL, reference="b1")
    assert again.name == right.name
    rows = await client.rows(
        "premiums",
        "select pooling_area, sum(premium_fen + surcharge_fen + credit_fen) as fen"
        " from receipt_part group by 1",
    )
    assert sum(row.fen for row in rows) == BILL
    assert await client.broken("premiums") == []
    assert await client.broken_common("premiums") == []


async def test_a_receipt_is_reversed_once_and_a_reversal_never(client: StackClient) -> None:
    client.set_day(LATE)
    receipt = await receive(client, SWIFT, "2025-07", PAID, 100, reference="B-1")

    mirror = await reverse(client, receipt, "r-1")
    repeated = await reverse(client, receipt, "r-1")
    twice = await refused(reverse(client, receipt))
    back = await refused(reverse(client, mirror))

    assert repeated == mirror
    assert (twice.reason, back.reason) == ("RECEIPT_REVERSED", "NOT_REVERSIBLE")


async def test_a_bill_is_unwound_from_its_newest_receipt(client: StackClient) -> None:
    client.set_day(LATE)
    first = await receive(client, SWIFT, "2025-07", PAID, BILL, reference="B-1")
    second = await receive(client, SWIFT, "2025-07", PAID, 500, reference="B-2")

    early = await refused(reverse(client, first))
    await reverse(client, second)
    await reverse(client, first)

    assert (early.reason, early.metadata["later"]) == ("LATER_RECEIPT", second.name)
    assert (await get_bill(client, SWIFT, "2025-07")).received_fen == 0


async def test_money_waits_for_its_signature_and_falls_with_a_change_of_the_bill(
    client: StackClient,
) -> None:
    client.set_day(LATE)
    client.signs = False
    needed = await refused(receive(client, SWIFT, "2025-07", PAID, 100, reference="B-1"))
    client.signs = True
    await receive(client, SWIFT, "2025-07", PAID, 50, reference="B-2")

    digest = bytes.fromhex(needed.metadata["hash"])
    changed = await refused(client.sign("premiums", needed.metadata["pending_act"], digest))

    assert (needed.reason, changed.reason) == ("SECOND_SIGNATURE_NEEDED", "ACT_CHANGED")


async def test_a_band_falls_with_a_change_of_the_terms(client: StackClient) -> None:
    client.signs = False
    needed = await refused(assign_band(client, SWIFT, "0.80", date(2026, 1, 1)))
    client.signs = True
    await assign_band(client, SWIFT, "1.50", date(2026, 1, 1))

    digest = bytes.fromhex(needed.metadata["hash"])
    changed = await refused(client.sign("premiums", needed.metadata["pending_act"], digest))

    assert (needed.reason, changed.reason) == ("SECOND_SIGNATURE_NEEDED", "ACT_CHANGED")
