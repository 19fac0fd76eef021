"""The RPCs of premiums."""

from __future__ import annotations

from datetime import date

from oip.premiums.v1 import premiums_pb2, premiums_pb2_grpc

from services.kernel.money import total
from services.kernel.names import name
from services.kernel.names import parse as parse_name
from services.kernel.periods import Month
from services.kernel.problems import NotFound
from services.premiums.api import format as to_wire
from services.premiums.api import parse
from services.premiums.commands import assessment, declarations, receipts, terms
from services.premiums.domain.advance_payment import Bearer, advance_payment, cost_bearer
from services.premiums.domain.assessment import explain_due_date
from services.premiums.domain.bills import bill_name
from services.premiums.domain.days import require_day_of_scheme
from services.premiums.domain.declarations import declared_counts
from services.premiums.domain.law import law
from services.premiums.domain.standing import standing
from services.premiums.store import accruals as accrual_store
from services.premiums.store import assessment as assessment_store
from services.premiums.store import bills as bill_store
from services.premiums.store import receipts as receipt_store
from services.premiums.store import terms as term_store
from services.premiums.store.accruals import AccrualFilter
from services.premiums.store.bills import BillFilter
from services.runtime.rpc.access import caller
from services.runtime.rpc.paging import page_of
from services.runtime.rpc.wire import (
    Context,
    date_from_wire,
    month_from_wire,
)
from services.runtime.service.context import ServiceContext
from services.runtime.service.requests import change, read
from services.runtime.storage.database import Transaction


class PremiumApi(premiums_pb2_grpc.PremiumServiceServicer):
    """Accrues, assesses and collects premiums of one province."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def AssignPremiumBase(
        self, request: premiums_pb2.AssignPremiumBaseRequest, context: Context
    ) -> premiums_pb2.PremiumTerm:
        """Assign a base to a platform for an industry from a day on."""
        term = parse.base_term(request)

        async def work(tx: Transaction) -> premiums_pb2.PremiumTerm:
            assigned = await terms.assign_premium_base(tx, term, self._context.command())
            return to_wire.term(assigned)

        return await change(self._context, request, premiums_pb2.PremiumTerm, work, resource=_name)

    async def AssignExperienceBand(
        self, request: premiums_pb2.AssignExperienceBandRequest, context: Context
    ) -> premiums_pb2.PremiumTerm:
        """Assign a band to a platform from a day on."""
        term = parse.band_term(request)

        async def work(tx: Transaction) -> premiums_pb2.PremiumTerm:
            assigned = await terms.assign_experience_band(tx, term, self._context.command())
            return to_wire.term(assigned)

        return await change(self._context, request, premiums_pb2.PremiumTerm, work, resource=_name)

    async def RefixBands(
        self, request: premiums_pb2.RefixBandsRequest, context: Context
    ) -> premiums_pb2.RefixBandsResponse:
        """Fix the bands of a year from the loss ratios of its window."""
        year = request.year
        rows = parse.benefits_charged(request.rows)

        async def work(tx: Transaction) -> premiums_pb2.RefixBandsResponse:
            fixed = await terms.refix_bands(
                tx, f"{caller().key}/{request.request_id}", year, rows, self._context.command()
            )
            return premiums_pb2.RefixBandsResponse(terms=[to_wire.term(term) for term in fixed])

        return await change(
            self._context,
            request,
            premiums_pb2.RefixBandsResponse,
            work,
            resource=name("experienceBands", year),
        )

    async def ListPremiumTerms(
        self, request: premiums_pb2.ListPremiumTermsRequest, context: Context
    ) -> premiums_pb2.ListPremiumTermsResponse:
        """A platform's bases and bands, newest first."""
        code = parse.platform_code(request.platform)
        page = page_of(request, date, int)

        async def work(tx: Transaction) -> premiums_pb2.ListPremiumTermsResponse:
            rows = await term_store.list_newest_first(tx, code, page.after, page.size)
            return premiums_pb2.ListPremiumTermsResponse(
                terms=[to_wire.term(term) for term in rows],
                next_page_token=page.next_token(rows, lambda term: (term.since, term.seq)),
            )

        return await read(self._context, work)

    async def ListAccruals(
        self, request: premiums_pb2.ListAccrualsRequest, context: Context
    ) -> premiums_pb2.ListAccrualsResponse:
        """Orders that are not assessed."""
        page = page_of(request, str, str, int, date)
        month = month_from_wire(request.month, "month")
        query = AccrualFilter(month, parse.platform_or_all(request.platform))

        async def work(tx: Transaction) -> premiums_pb2.ListAccrualsResponse:
            latest = await assessment_store.find_latest_month(tx)
            tallies = await accrual_store.list_unassessed(tx, query, latest, page.after, page.size)
            return premiums_pb2.ListAccrualsResponse(
                accruals=[to_wire.accrual(tally) for tally in tallies],
                next_page_token=page.next_token(
                    tallies,
                    lambda row: (row.platform, row.pooling_area, row.industry, row.service_date),
                ),
            )

        return await read(self._context, work)

    async def DeclarePremium(
        self, request: premiums_pb2.DeclarePremiumRequest, context: Context
    ) -> premiums_pb2.Declaration:
        """Record a platform's declaration and compare it with the recorded orders."""
        code = parse.platform_code(request.platform)
        month = month_from_wire(request.month, "month")
        counts = declared_counts(parse.declaration_rows(request.rows))

        async def work(tx: Transaction) -> premiums_pb2.Declaration:
            result = await declarations.declare_premium(
                tx, code, month, counts, self._context.command()
            )
            return to_wire.declaration(result)

        return await change(self._context, request, premiums_pb2.Declaration, work, resource=_name)

    async def AssessPremiums(
        self, request: premiums_pb2.AssessPremiumsRequest, context: Context
    ) -> premiums_pb2.PremiumAssessment:
        """Assess a month that has ended, for every platform."""
        month = month_from_wire(request.month, "month")

        async def work(tx: Transaction) -> premiums_pb2.PremiumAssessment:
            assessed = await assessment.assess_premiums(tx, month, self._context.command())
            return to_wire.assessment(assessed)

        return await change(
            self._context, request, premiums_pb2.PremiumAssessment, work, resource=_name
        )

    async def EstimatePremium(
        self, request: premiums_pb2.EstimatePremiumRequest, context: Context
    ) -> premiums_pb2.PremiumBill:
        """Bill a platform that was silent for an assessed month."""
        platform, month = parse.bill_name(request.bill)

        async def work(tx: Transaction) -> premiums_pb2.PremiumBill:
            await assessment.estimate_premium(tx, platform, month, self._context.command())
            return await _bill(tx, platform, month)

        return await change(
            self._context, request, premiums_pb2.PremiumBill, work, resource=request.bill
        )

    async def GetPremiumBill(
        self, request: premiums_pb2.GetPremiumBillRequest, context: Context
    ) -> premiums_pb2.PremiumBill:
        """One bill with its lines and how each was computed."""
        platform, month = parse.bill_name(request.name, "name")

        async def work(tx: Transaction) -> premiums_pb2.PremiumBill:
            return await _bill(tx, platform, month)

        return await read(self._context, work)

    async def ListPremiumBills(
        self, request: premiums_pb2.ListPremiumBillsRequest, context: Context
    ) -> premiums_pb2.ListPremiumBillsResponse:
        """The bills of a month or of a platform."""
        query, page = parse.bill_filter(request), page_of(request, Month, str)

        async def work(tx: Transaction) -> premiums_pb2.ListPremiumBillsResponse:
            bills = await bill_store.list_summaries(tx, query, page.after, page.size)
            return premiums_pb2.ListPremiumBillsResponse(
                bills=[to_wire.bill_summary(bill) for bill in bills],
                next_page_token=page.next_token(bills, lambda bill: (bill.month, bill.platform)),
                total_count=await bill_store.count_bills(tx, query) if request.count_all else 0,
            )

        return await read(self._context, work)

    async def RecordPremiumReceipt(
        self, request: premiums_pb2.RecordPremiumReceiptRequest, context: Context
    ) -> premiums_pb2.PremiumReceipt:
        """Record money that the collector has received."""
        platform, month = parse.bill_name(request.bill)
        payment = parse.incoming_payment(request)

        async def work(tx: Transaction) -> premiums_pb2.PremiumReceipt:
            receipt = await receipts.record_premium_receipt(
                tx, platform, month, payment, self._context.command()
            )
            return to_wire.receipt(receipt)

        return await change(
            self._context, request, premiums_pb2.PremiumReceipt, work, resource=_name
        )

    async def ReversePremiumReceipt(
        self, request: premiums_pb2.ReversePremiumReceiptRequest, context: Context
    ) -> premiums_pb2.PremiumReceipt:
        """Reverse a receipt that was recorded by mistake; the answer is its mirror."""
        (receipt_id,) = parse_name(request.name, "premiumReceipts")
        code, reason = request.code, request.reason.strip()

        async def work(tx: Transaction) -> premiums_pb2.PremiumReceipt:
            mirror = await receipts.reverse_premium_receipt(
                tx, receipt_id, code, reason, self._context.command()
            )
            return to_wire.receipt(mirror)

        return await change(
            self._context, request, premiums_pb2.PremiumReceipt, work, resource=_name
        )

    async def ApplyPremiumCredit(
        self, request: premiums_pb2.ApplyPremiumCreditRequest, context: Context
    ) -> premiums_pb2.PremiumReceipt:
        """Set a platform's credit off against a bill."""
        platform, month = parse.bill_name(request.bill)

        async def work(tx: Transaction) -> premiums_pb2.PremiumReceipt:
            receipt = await receipts.apply_premium_credit(
                tx, platform, month, f"{caller().key}/{request.request_id}", self._context.command()
            )
            return to_wire.receipt(receipt)

        return await change(
            self._context, request, premiums_pb2.PremiumReceipt, work, resource=_name
        )

    async def ListPremiumReceipts(
        self, request: premiums_pb2.ListPremiumReceiptsRequest, context: Context
    ) -> premiums_pb2.ListPremiumReceiptsResponse:
        """The receipts of a month or of a platform, by day of payment."""
        query, page = parse.bill_filter(request), page_of(request, date, str)

        async def work(tx: Transaction) -> premiums_pb2.ListPremiumReceiptsResponse:
            rows = await receipt_store.list_by_day(tx, query, page.after, page.size)
            count = await receipt_store.count_receipts(tx, query) if request.count_all else 0
            return premiums_pb2.ListPremiumReceiptsResponse(
                receipts=[to_wire.receipt(receipt) for receipt in rows],
                next_page_token=page.next_token(rows, lambda receipt: (receipt.day, receipt.id)),
                total_count=count,
            )

        return await read(self._context, work)

    async def GetPremiumStanding(
        self, request: premiums_pb2.GetPremiumStandingRequest, context: Context
    ) -> premiums_pb2.PremiumStanding:
        """What a platform owes for a month, on a day."""
        platform, month = parse.bill_name(request.bill)
        command = self._context.command()
        rules = law(command.province, command.today)
        day = parse.day_or(request, "on_date", command.today)
        require_day_of_scheme("on_date", day, command.today, rules)

        async def work(tx: Transaction) -> premiums_pb2.PremiumStanding:
            bill = await bill_store.find(tx, platform, month)
            if bill is None:
                raise NotFound(name=request.bill)
            credit = total((await receipt_store.get_credit(tx, platform)).values())
            due = explain_due_date(month, rules, command.calendar)
            return to_wire.standing(standing(bill, day, rules), bill, credit, due)

        return await read(self._context, work)

    async def GetAdvanceTerms(
        self, request: premiums_pb2.GetAdvanceTermsRequest, context: Context
    ) -> premiums_pb2.AdvanceTerms:
        """Who bears a cost on a day, and the days of an advance payment."""
        code = parse.platform_code(request.platform)
        command = self._context.command()
        day = parse.day_or(request, "request_date", command.today)
        advance_date = (
            date_from_wire(request.advance_date, "advance_date")
            if request.HasField("advance_date")
            else None
        )
        rules = law(command.province, command.today)
        require_day_of_scheme("request_date", day, command.today, rules)
        if advance_date is not None:
            require_day_of_scheme("advance_date", advance_date, command.today, rules)

        async def work(tx: Transaction) -> premiums_pb2.AdvanceTerms:
            bills = await bill_store.list_of_platform(tx, code)
            standings = [standing(bill, day, rules) for bill in bills]
            arrears = total(row.arrears for row in standings)
            surcharge = total(row.surcharge for row in standings)
            bearer, finding = cost_bearer(arrears, surcharge, day)
            if bearer is Bearer.FUND:
                return to_wire.advance_terms(bearer, standings, None, (finding,))
            days, why = advance_payment(day, advance_date, rules, command.calendar)
            return to_wire.advance_terms(bearer, standings, days, (finding, why))

        return await read(self._context, work)


async def _bill(tx: Transaction, platform: str, month: Month) -> premiums_pb2.PremiumBill:
    summaries = await bill_store.list_summaries(tx, BillFilter(platform, month), size=1)
    if not summaries:
        raise NotFound(name=bill_name(platform, month))
    return to_wire.whole_bill(summaries[0], await bill_store.list_lines(tx, platform, month))


def _name(
    resource: premiums_pb2.PremiumTerm
    | premiums_pb2.Declaration
    | premiums_pb2.PremiumAssessment
    | premiums_pb2.PremiumReceipt,
) -> str:
    return resource.name
