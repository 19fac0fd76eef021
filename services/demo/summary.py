"""The figures of the month, read from the services, in the form of `build/demo/summary.json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from oip.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from oip.claims.v1 import claims_pb2, claims_pb2_grpc
from oip.fund.v1 import fund_pb2, fund_pb2_grpc
from oip.grading.v1 import grading_pb2, grading_pb2_grpc
from oip.operations.v1 import operations_pb2, operations_pb2_grpc
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from oip.premiums.v1 import premiums_pb2, premiums_pb2_grpc
from oip.staff.v1 import staff_pb2, staff_pb2_grpc
from oip.type.v1 import type_pb2

from services.demo.actors import Actors
from services.kernel.periods import Month
from services.runtime.rpc.wire import enum_number, moment_from_wire, month_from_wire, month_to_wire

PAGE = 1000
# The services whose acts move money and name the assumed values of the law that they used.
MONEY = ("premiums", "benefits", "fund")
# Who signs in each service.
SIGNERS = {
    "premiums": "fund_approver",
    "claims": "adjudicator",
    "grading": "appraiser",
    "benefits": "fund_approver",
    "fund": "fund_approver",
}


async def pages(call: Callable[[Any], Any], request: Any, rows: str) -> list[Any]:
    """All rows of a paged list."""
    collected: list[Any] = []
    request.page_size = PAGE
    while True:
        answer = await call(request)
        collected.extend(getattr(answer, rows))
        if not answer.next_page_token:
            return collected
        request.page_token = answer.next_page_token


async def summarise(
    actors: Actors,
    platforms: Iterable[str],
    batches: set[str],
    months: list[Month],
    month: Month | None,
) -> dict[str, Any]:
    """All figures but the seconds.

    `batches` are the ids of the batches of the month; `month` is the settled month, or None.
    """
    return {
        "orders": await order_counts(actors, platforms, batches),
        "premium_lines": await premium_lines(actors, months),
        "claims": await _claims(actors),
        "appraisals": await _appraisals(actors),
        "awards": await _awards(actors),
        "payments": await _payments(actors),
        "ledger": await _ledger(actors),
        "settlement": await _settlement(actors, month) if month else {},
        "signatures": await _signatures(actors),
        "assumed_values": await _assumed_values(actors),
    }


async def _assumed_values(actors: Actors) -> dict[str, Any]:
    """How many assumed values the acts that moved money used, and how many are confirmed."""
    used, confirmed, province = set(), set(), ""
    for service in MONEY:
        stub = actors.at(operations_pb2_grpc.OperationsServiceStub, service, "fund_officer")
        answer = await stub.ListAssumedValues(
            operations_pb2.ListAssumedValuesRequest(page_size=PAGE)
        )
        province = answer.province
        for value in answer.values:
            if value.act_count:
                used.add(value.digest)
            if value.confirmation:
                confirmed.add(value.digest)
    return {"province": province, "count": len(used), "confirmed_count": len(used & confirmed)}


async def _signatures(actors: Actors) -> list[dict[str, Any]]:
    """How often each act was made by one person and signed by another, by their names."""
    register = actors.at(staff_pb2_grpc.StaffServiceStub, "staff", "administrator")
    request = staff_pb2.ListStaffMembersRequest()
    members = await pages(register.ListStaffMembers, request, "staff_members")
    names = {member.name: member.display_name for member in members}
    counts: Counter[tuple[str, str, str]] = Counter()
    for service, role in SIGNERS.items():
        stub = actors.at(operations_pb2_grpc.OperationsServiceStub, service, role)
        acts = operations_pb2.ListPendingActsRequest(include_ended=True)
        for act in await pages(stub.ListPendingActs, acts, "pending_acts"):
            counts[act.title, names[act.maker_member], names.get(act.signer_member, "")] += 1
    return [
        {"act": title, "maker": maker, "signer": signer, "count": count}
        for (title, maker, signer), count in sorted(counts.items())
    ]


async def order_counts(
    actors: Actors, platforms: Iterable[str], batches: set[str]
) -> dict[str, Any]:
    """The number of rows of these batches by outcome and by reason."""
    orders = actors.at(orders_pb2_grpc.OrderServiceStub, "orders", "fund_officer")
    total: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    for platform in platforms:
        request = orders_pb2.ListOrderBatchesRequest(platform=platform)
        for batch in await pages(orders.ListOrderBatches, request, "order_batches"):
            if batch.name.rsplit("/", 1)[1] in batches:
                total["received"] += batch.received_count
                total["created"] += batch.created_count
                total["exists"] += batch.exists_count
                total["conflict"] += batch.conflict_count
                for reason in batch.rejected_by_reason:
                    name = orders_pb2.OrderRejection.Status.Name(reason.status)
                    rejected[name.lower()] += reason.row_count
    counts = ("received", "created", "exists", "conflict")
    return {name: total[name] for name in counts} | {"rejected": dict(sorted(rejected.items()))}


async def premium_lines(actors: Actors, months: list[Month]) -> list[dict[str, Any]]:
    """The lines of the bills of these months."""
    premiums = actors.at(premiums_pb2_grpc.PremiumServiceStub, "premiums", "fund_officer")
    lines = []
    for month in months:
        request = premiums_pb2.ListPremiumBillsRequest(month=month_to_wire(month))
        for bill in await pages(premiums.ListPremiumBills, request, "bills"):
            whole = await premiums.GetPremiumBill(
                premiums_pb2.GetPremiumBillRequest(name=bill.name)
            )
            lines += [
                {
                    "platform": line.platform.removeprefix("platforms/"),
                    "pooling_area": line.pooling_area,
                    "industry": type_pb2.Industry.Name(line.industry),
                    "month": str(month_from_wire(line.month, "month")),
                    "order_count": line.order_count,
                    "premium_fen": line.premium_fen,
                }
                for line in whole.lines
            ]
    keys = ("month", "platform", "pooling_area", "industry")
    return sorted(lines, key=lambda line: [line[key] for key in keys])


async def _claims(actors: Actors) -> list[dict[str, Any]]:
    claims = actors.at(claims_pb2_grpc.ClaimServiceStub, "claims", "adjudicator")
    rows = await pages(claims.ListClaims, claims_pb2.ListClaimsRequest(), "claims")
    figures = []
    for row in rows:
        claim = await claims.GetClaim(claims_pb2.GetClaimRequest(name=row.name))
        findings = claim.determination.findings
        outcome = enum_number(claim.determination.outcome)
        figures.append(
            {
                "name": claim.name,
                "accident_time": moment_from_wire(claim.accident_time, "accident_time").isoformat(),
                "outcome": claims_pb2.Determination.Outcome.Name(outcome),
                "provisions": list(
                    dict.fromkeys(
                        f"{finding.provision.instrument} {finding.provision.article}".strip()
                        for finding in findings
                    )
                ),
                "order_nos": sorted(
                    order.order.rsplit("/", 1)[1] for order in claim.orders if order.under_way
                ),
            }
        )
    return sorted(figures, key=lambda claim: (claim["accident_time"], claim["name"]))


async def _appraisals(actors: Actors) -> list[dict[str, Any]]:
    grading = actors.at(grading_pb2_grpc.GradingServiceStub, "grading", "appraiser")
    rows = await pages(grading.ListAppraisals, grading_pb2.ListAppraisalsRequest(), "appraisals")
    return sorted(
        (
            {
                "claim": row.claim,
                "grade": row.grade,
                "care_dependence": grading_pb2.CareDependence.Name(row.care_dependence),
            }
            for row in rows
        ),
        key=lambda figures: (figures["grade"], figures["claim"]),
    )


async def _awards(actors: Actors) -> list[dict[str, Any]]:
    benefits = actors.at(benefits_pb2_grpc.BenefitServiceStub, "benefits", "fund_officer")
    awards = await pages(benefits.ListAwards, benefits_pb2.ListAwardsRequest(), "awards")
    rows = [
        (
            award.claim,
            benefits_pb2.BenefitKind.Name(award.kind),
            award.beneficiary,
            {
                "name": award.name,
                "claim": award.claim,
                "kind": benefits_pb2.BenefitKind.Name(award.kind),
                "amount_fen": award.amount_fen,
                "first_month": str(month_from_wire(award.first_month, "first_month")),
            },
        )
        for award in awards
    ]
    return [row[-1] for row in sorted(rows, key=lambda row: row[:3])]


async def _payments(actors: Actors) -> dict[str, int]:
    benefits = actors.at(benefits_pb2_grpc.BenefitServiceStub, "benefits", "fund_officer")
    request = benefits_pb2.ListPaymentInstructionsRequest()
    rows = await pages(benefits.ListPaymentInstructions, request, "payment_instructions")
    return {"count": len(rows), "sum_fen": sum(row.amount_fen for row in rows)}


async def _ledger(actors: Actors) -> dict[str, int]:
    fund = actors.at(fund_pb2_grpc.FundServiceStub, "fund", "fund_officer")
    balance = await fund.GetTrialBalance(fund_pb2.GetTrialBalanceRequest())
    return {
        "transactions": balance.transaction_count,
        "postings": balance.posting_count,
        "sum_fen": balance.sum_fen,
    }


async def _settlement(actors: Actors, month: Month) -> dict[str, Any]:
    fund = actors.at(fund_pb2_grpc.FundServiceStub, "fund", "fund_officer")
    period = await fund.GetSettlementPeriod(
        fund_pb2.GetSettlementPeriodRequest(name=f"settlementPeriods/{month}")
    )
    return {
        "month": str(month),
        "pools": [
            {
                "pooling_area": pool.pooling_area,
                "income_fen": pool.income_fen,
                "spending_fen": pool.spending_fen,
                "equalisation_fen": pool.equalisation_fen,
                "closing_fen": pool.closing_fen,
            }
            for pool in period.pools
        ],
    }
