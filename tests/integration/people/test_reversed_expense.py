"""A bill that was paid by mistake and reversed leaves the fund's ledger as if it had never been."""

from __future__ import annotations

from datetime import date

from oip.benefits.v1 import benefits_pb2
from oip.fund.v1 import fund_pb2
from oip.type.v1 import type_pb2

from services.kernel.periods import Month
from services.runtime.rpc.wire import date_to_wire
from tests.integration.benefits.builders import consume, determined, run_payments
from tests.support.stack_client import StackClient

WRONG, RIGHT = 50_000, 5_000_000
NOVEMBER = Month(2025, 11)


async def grant(client: StackClient, claim: str, number: str, fen: int) -> benefits_pb2.Award:
    return await client.benefits("fund_officer").GrantExpense(
        benefits_pb2.GrantExpenseRequest(
            request_id=client.new_id(),
            claim=claim,
            kind=benefits_pb2.MEDICAL_BENEFIT,
            expense_date=date_to_wire(date(2025, 7, 5)),
            allowed_cost_fen=fen,
            bill_number=f"{claim}-{number}",
            institution="First Hospital",
        )
    )


async def balance(client: StackClient, area: str) -> dict[str, int]:
    await client.delivered()
    answer = await client.fund("fund_officer").GetTrialBalance(fund_pb2.GetTrialBalanceRequest())
    return {
        fund_pb2.LedgerAccount.Name(row.account): row.balance_fen
        for row in answer.rows
        if row.pooling_area == area
    }


async def test_the_pool_is_as_in_the_world_without_the_mistake(client: StackClient) -> None:
    """Instructed, posted, reversed, set off against the next bill; another pool never saw it."""
    areas = {"440100": "claims/mistaken", "440300": "claims/plain"}
    for number, (area, claim) in enumerate(areas.items(), start=1):
        worker = f"workers/{700_000 + number}"
        await consume(client, determined(claim, worker=worker, pooling_area=area))
    wrong = await grant(client, "claims/mistaken", "1", WRONG)
    await run_payments(client, NOVEMBER)
    posted = await balance(client, "440100")

    await client.benefits("fund_officer").ReverseExpense(
        benefits_pb2.ReverseExpenseRequest(
            request_id=client.new_id(),
            name=wrong.name,
            code=type_pb2.RECORDED_TWICE,
            reason="recorded twice",
        )
    )
    for claim in areas.values():
        await grant(client, claim, "2", RIGHT)
    await run_payments(client, NOVEMBER)

    assert posted == {"BENEFIT_EXPENSE": WRONG, "BENEFITS_PAYABLE": -WRONG}
    with_mistake, without = await balance(client, "440100"), await balance(client, "440300")
    assert with_mistake == without == {"BENEFIT_EXPENSE": RIGHT, "BENEFITS_PAYABLE": -RIGHT}
    assert await client.broken("benefits") == await client.broken("fund") == []
