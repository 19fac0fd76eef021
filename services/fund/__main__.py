"""`python -m services.fund`: the fund service as a process of its own."""

from __future__ import annotations

import grpc
from oip.fund.v1 import fund_pb2_grpc

from services.fund import commands
from services.fund.api import FundApi
from services.fund.consumers import HANDLERS
from services.fund.store import checks
from services.runtime.service.context import Check, Service, ServiceContext
from services.runtime.service.serve import run
from services.runtime.storage.database import Transaction


def register(server: grpc.aio.Server, context: ServiceContext) -> None:
    """Add the RPCs to a server."""
    fund_pb2_grpc.add_FundServiceServicer_to_server(FundApi(context), server)


async def verify(tx: Transaction) -> list[Check]:
    """The invariants that the fund answers for, counted over all rows."""
    added = await checks.ledger_sum(tx)
    unbalanced = await checks.unbalanced(tx)
    differ = await checks.balances_that_differ(tx)
    transfers = await checks.transfers_that_differ(tx)
    one_person = await checks.approved_by_one_person(tx)
    closed = await commands.replay_all(tx)
    changed = [str(month) for month, replay in closed.items() if not replay.equal]
    return [
        Check(
            "I1",
            "each transaction has two postings or more that sum to zero, and so does the ledger",
            unbalanced == 0 and added == 0,
            f"{unbalanced} unbalanced transactions, ledger sum {added} fen",
        ),
        Check(
            "I7",
            "kept totals and payables are the sums of their postings",
            differ == 0,
            f"{differ} rows differ",
        ),
        Check(
            "I7-equalisation",
            "the transfers of each month sum to zero over the province",
            transfers == 0,
            f"{transfers} months differ",
        ),
        Check(
            "I8",
            "each closed month, computed again from its postings, is the same bytes",
            not changed,
            f"{len(closed)} closed months; changed: {', '.join(changed) or 'none'}",
        ),
        Check(
            "I9",
            "proposer and approver differ, and the closed figures are the approved ones",
            one_person == 0,
            f"{one_person} months differ",
        ),
    ]


SERVICE = Service(name="fund", register=register, listens=HANDLERS, verify=verify)

if __name__ == "__main__":
    run(SERVICE)
