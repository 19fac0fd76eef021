"""The RPCs of premiums."""

from __future__ import annotations

from oip.premiums.v1 import premiums_pb2, premiums_pb2_grpc

from services.kernel.money import total
from services.kernel.names import id_from, name
from services.kernel.periods import Month
from services.kernel.problems import NotFound
from services.kernel.workdays import WorkCalendar
from services.premiums import commands
from services.premiums.api import formatting, parsing
from services.premiums.commands.occasion import Occasion
from services.premiums.domain import advancing, assessing, declaring, paying
from services.premiums.domain.advancing import Bearer
from services.premiums.domain.terms import Term, TermKind
from services.premiums.store import hearing
from services.premiums.store import paying as held
from services.premiums.store import terms as held_terms
from services.premiums.store.hearing import AccrualsWanted
from services.premiums.store.paying import Wanted
from services.runtime.base.clock import today
from services.runtime.rpc.wire import (
    Context,
    date_from_wire,
    month_from_wire,
    next_token,
    page_of,
)
from services.runtime.service.context import ServiceContext
from services.runtime.service.requests import change, read
from services.runtime.storage.database import Transaction


class PremiumApi(premiums_pb2_grpc.PremiumServiceServicer):
    """Accrues, assesses and collects premiums of one province."""

    def __init__(self, context: ServiceContext, province: str, calendar: WorkCalendar) -> None:
        self._context = context
        self._province = province
        self._calendar = calendar

    def _occasion(self) -> Occasion:
        return Occasion(self._context.clock.now(), self._province, self._calendar)

    async def AssignPremiumBase(
        self, request: premiums_pb2.AssignPremiumBaseRequest, context: Context
    ) -> premiums_pb2.PremiumTerm:
        """Fix a platform's base for an industry from a day on."""
        wanted = Term(
            platform=parsing.platform_code(request.platform),
            kind=TermKind.BASE,
            since=date_from_wire(request.since_date, "since_date"),
            value=parsing.decimal(request.base_yuan, "base_yuan"),
            industry=parsing.industry(request.industry),
            reason=parsing.words(request.reason, "reason"),
            id=id_from(request.request_id, request.platform),
        )

        async def work(tx: Transaction) -> premiums_pb2.PremiumTerm:
            assigned = await commands.assign_premium_base(tx, wanted, self._occasion())
            return formatting.term(assigned)

        return await change(self._context, request, premiums_pb2.PremiumTerm, work, resource=_name)

    async def AssignExperienceBand(
        self, request: premiums_pb2.AssignExperienceBandRequest, context: Context
    ) -> premiums_pb2.PremiumTerm:
        """Fix a platform's band from a day on."""
        wanted = Term(
            platform=parsing.platform_code(request.platform),
            kind=TermKind.BAND,
            since=date_from_wire(request.since_date, "since_date"),
            value=parsing.decimal(request.band, "band"),
            reason=parsing.words(request.reason, "reason"),
            id=id_from(request.request_id, request.platform),
        )

        async def work(tx: Transaction) -> premiums_pb2.PremiumTerm:
            assigned = await commands.assign_experience_band(tx, wanted, self._occasion())
            return formatting.term(assigned)

        return await change(self._context, request, premiums_pb2.PremiumTerm, work, resource=_name)

    async def RefixBands(
        self, request: premiums_pb2.RefixBandsRequest, context: Context
    ) -> premiums_pb2.RefixBandsResponse:
        """Fix the bands of a year from the loss ratios of its window."""
        year = parsing.year(request.year)
        rows = parsing.charged_rows(request.rows)

        async def work(tx: Transaction) -> premiums_pb2.RefixBandsResponse:
            terms = await commands.refix_bands(tx, request.request_id, year, rows, self._occasion())
            return premiums_pb2.RefixBandsResponse(terms=[formatting.term(one) for one in terms])

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
        code, page = parsing.platform_code(request.platform), page_of(request)

        async def work(tx: Transaction) -> premiums_pb2.ListPremiumTermsResponse:
            found = await held_terms.list_terms(tx, code, page.after, page.size)
            full = len(found) == page.size
            return premiums_pb2.ListPremiumTermsResponse(
                terms=[formatting.term(one) for one in found],
                next_page_token=next_token([found[-1].since, found[-1].seq]) if full else "",
            )

        return await read(self._context, work)

    async def ListAccruals(
        self, request: premiums_pb2.ListAccrualsRequest, context: Context
    ) -> premiums_pb2.ListAccrualsResponse:
        """Orders counted and not assessed."""
        page = page_of(request)
        month = month_from_wire(request.month, "month")
        platform = parsing.platform_or_all(request.platform)
        wanted = AccrualsWanted(month, platform, page.after, page.size)

        async def work(tx: Transaction) -> premiums_pb2.ListAccrualsResponse:
            found = await hearing.list_accruals(tx, wanted, await hearing.latest_month(tx))
            full = len(found) == page.size
            last = found[-1] if found else None
            key = (
                [last.platform, last.pooling_area, last.industry, last.service_date] if last else []
            )
            return premiums_pb2.ListAccrualsResponse(
                accruals=[formatting.accrual(one) for one in found],
                next_page_token=next_token(key) if full else "",
            )

        return await read(self._context, work)

    async def DeclarePremium(
        self, request: premiums_pb2.DeclarePremiumRequest, context: Context
    ) -> premiums_pb2.Declaration:
        """Keep a platform's own declaration and compare it with the orders held."""
        code = parsing.platform_code(request.platform)
        month = month_from_wire(request.month, "month")
        counts = declaring.declared(parsing.declared_rows(request.rows))

        async def work(tx: Transaction) -> premiums_pb2.Declaration:
            made = await commands.declare_premium(tx, code, month, counts, self._occasion())
            return formatting.declaration(made)

        return await change(self._context, request, premiums_pb2.Declaration, work, resource=_name)

    async def AssessPremiums(
        self, request: premiums_pb2.AssessPremiumsRequest, context: Context
    ) -> premiums_pb2.PremiumAssessment:
        """Assess a month that has ended, for every platform."""
        month = month_from_wire(request.month, "month")

        async def work(tx: Transaction) -> premiums_pb2.PremiumAssessment:
            made = await commands.assess_premiums(tx, month, self._occasion())
            return formatting.assessment(made)

        return await change(
            self._context, request, premiums_pb2.PremiumAssessment, work, resource=_name
        )

    async def EstimatePremium(
        self, request: premiums_pb2.EstimatePremiumRequest, context: Context
    ) -> premiums_pb2.PremiumBill:
        """Bill a platform that was silent for an assessed month."""
        platform, month = parsing.bill_name(request.bill)

        async def work(tx: Transaction) -> premiums_pb2.PremiumBill:
            await commands.estimate_premium(tx, platform, month, self._occasion())
            return await _bill(tx, platform, month)

        return await change(
            self._context, request, premiums_pb2.PremiumBill, work, resource=request.bill
        )

    async def GetPremiumBill(
        self, request: premiums_pb2.GetPremiumBillRequest, context: Context
    ) -> premiums_pb2.PremiumBill:
        """One bill with its lines and how each was computed."""
        platform, month = parsing.bill_name(request.name, "name")

        async def work(tx: Transaction) -> premiums_pb2.PremiumBill:
            return await _bill(tx, platform, month)

        return await read(self._context, work)

    async def ListPremiumBills(
        self, request: premiums_pb2.ListPremiumBillsRequest, context: Context
    ) -> premiums_pb2.ListPremiumBillsResponse:
        """The bills of a month or of a platform."""
        wanted = _wanted(request)

        async def work(tx: Transaction) -> premiums_pb2.ListPremiumBillsResponse:
            found = await held.list_bills(tx, wanted)
            full = len(found) == wanted.size
            last = [found[-1].month.first_day, found[-1].platform] if full else []
            return premiums_pb2.ListPremiumBillsResponse(
                bills=[formatting.listed_bill(one) for one in found],
                next_page_token=next_token(last) if full else "",
            )

        return await read(self._context, work)

    async def RecordPremiumReceipt(
        self, request: premiums_pb2.RecordPremiumReceiptRequest, context: Context
    ) -> premiums_pb2.PremiumReceipt:
        """Record money that the collector has received."""
        bill = parsing.bill_name(request.bill)
        paid = parsing.incoming(request)

        async def work(tx: Transaction) -> premiums_pb2.PremiumReceipt:
            made = await commands.record_premium_receipt(tx, bill, paid, self._occasion())
            return formatting.receipt(made)

        return await change(
            self._context, request, premiums_pb2.PremiumReceipt, work, resource=_name
        )

    async def ApplyPremiumCredit(
        self, request: premiums_pb2.ApplyPremiumCreditRequest, context: Context
    ) -> premiums_pb2.PremiumReceipt:
        """Set a platform's credit off against a bill."""
        bill = parsing.bill_name(request.bill)

        async def work(tx: Transaction) -> premiums_pb2.PremiumReceipt:
            made = await commands.apply_premium_credit(
                tx, bill, request.request_id, self._occasion()
            )
            return formatting.receipt(made)

        return await change(
            self._context, request, premiums_pb2.PremiumReceipt, work, resource=_name
        )

    async def ListPremiumReceipts(
        self, request: premiums_pb2.ListPremiumReceiptsRequest, context: Context
    ) -> premiums_pb2.ListPremiumReceiptsResponse:
        """The receipts of a month or of a platform, by day of payment."""
        wanted = _wanted(request)

        async def work(tx: Transaction) -> premiums_pb2.ListPremiumReceiptsResponse:
            found = await held.list_receipts(tx, wanted)
            full = len(found) == wanted.size
            return premiums_pb2.ListPremiumReceiptsResponse(
                receipts=[formatting.receipt(one) for one in found],
                next_page_token=next_token([found[-1].day, found[-1].id]) if full else "",
            )

        return await read(self._context, work)

    async def GetPremiumStanding(
        self, request: premiums_pb2.GetPremiumStandingRequest, context: Context
    ) -> premiums_pb2.PremiumStanding:
        """What a platform owes for a month, on a day."""
        platform, month = parsing.bill_name(request.bill)
        day = parsing.day_or(request, "on_date", today(self._context.clock))

        async def work(tx: Transaction) -> premiums_pb2.PremiumStanding:
            bill = await held.get_bill(tx, platform, month)
            if bill is None:
                raise NotFound(name=request.bill)
            rules = self._occasion().law
            standing = paying.standing(bill, day, rules)
            credit = total((await held.credit_of(tx, platform)).values())
            due = assessing.explain_due_date(month, rules, self._calendar)
            return formatting.standing(standing, bill, credit, due)

        return await read(self._context, work)

    async def GetAdvanceTerms(
        self, request: premiums_pb2.GetAdvanceTermsRequest, context: Context
    ) -> premiums_pb2.AdvanceTerms:
        """Who bears a cost on a day, and the days of an advance payment."""
        code = parsing.platform_code(request.platform)
        day = parsing.day_or(request, "request_date", today(self._context.clock))
        advanced = (
            date_from_wire(request.advance_date, "advance_date")
            if request.HasField("advance_date")
            else None
        )
        rules = self._occasion().law

        async def work(tx: Transaction) -> premiums_pb2.AdvanceTerms:
            standings = [
                paying.standing(bill, day, rules) for bill in await held.bills_of(tx, code)
            ]
            arrears = total(one.arrears for one in standings)
            surcharge = total(one.surcharge for one in standings)
            bearer, finding = advancing.bearer(arrears, surcharge, day)
            if bearer is Bearer.FUND:
                return formatting.advance_terms(bearer, standings, None, (finding,))
            dates, why = advancing.advance_dates(day, advanced, rules, self._calendar)
            return formatting.advance_terms(bearer, standings, dates, (finding, why))

        return await read(self._context, work)


async def _bill(tx: Transaction, platform: str, month: Month) -> premiums_pb2.PremiumBill:
    listed = await held.list_bills(tx, Wanted(platform, month, size=1))
    if not listed:
        raise NotFound(name=name("platforms", platform, "premiumBills", str(month)))
    lines = await held.lines_of(tx, platform, month)
    return formatting.whole_bill(listed[0], lines)


def _wanted(
    request: premiums_pb2.ListPremiumBillsRequest | premiums_pb2.ListPremiumReceiptsRequest,
) -> Wanted:
    page = page_of(request)
    month = month_from_wire(request.month, "month") if request.HasField("month") else None
    return Wanted(parsing.platform_or_all(request.platform), month, page.after, page.size)


def _name(
    resource: premiums_pb2.PremiumTerm
    | premiums_pb2.Declaration
    | premiums_pb2.PremiumAssessment
    | premiums_pb2.PremiumReceipt,
) -> str:
    return resource.name
