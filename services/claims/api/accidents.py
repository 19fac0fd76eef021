"""The RPCs of AccidentService: reports, accidents, and which filings are about one accident."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from oip.claims.v1 import accidents_pb2, accidents_pb2_grpc, claims_pb2

from services.claims.api import parse
from services.claims.api.format import (
    View,
    accident_message,
    filing_message,
    report_message,
    show_claim,
)
from services.claims.commands import accidents as accident_commands
from services.claims.domain.accidents import Accident, AccidentAnswer, Filing, window_of
from services.claims.domain.law import law_as_known
from services.claims.store import accidents as accident_store
from services.claims.store import filings as filing_store
from services.claims.store import reports as report_store
from services.kernel import names
from services.runtime.base.clock import today
from services.runtime.base.holidays import work_calendar
from services.runtime.rpc.access import caller
from services.runtime.rpc.paging import page_of
from services.runtime.rpc.wire import Context
from services.runtime.service.context import ServiceContext
from services.runtime.service.requests import change, read
from services.runtime.storage.database import Transaction


class AccidentApi(accidents_pb2_grpc.AccidentServiceServicer):
    """Lists accidents and filings, and takes what people say about them."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def GetAccidentReport(
        self, request: accidents_pb2.GetAccidentReportRequest, context: Context
    ) -> claims_pb2.AccidentReport:
        """One report of an accident."""
        (report_id,) = names.parse(request.name, "accidentReports")

        async def work(tx: Transaction) -> claims_pb2.AccidentReport:
            report, description = await report_store.get_with_description(
                tx, self._context.cipher, report_id
            )
            return report_message(report, description if self._view().sees_description else "")

        return await read(self._context, work)

    async def ListAccidentReports(
        self, request: accidents_pb2.ListAccidentReportsRequest, context: Context
    ) -> accidents_pb2.ListAccidentReportsResponse:
        """The reports of accidents, newest first."""
        page = page_of(request, datetime, str)
        worker = parse.worker_id(request.worker) if request.worker else None

        async def work(tx: Transaction) -> accidents_pb2.ListAccidentReportsResponse:
            reports = await report_store.list_newest_first(
                tx,
                worker,
                unclaimed_only=request.unclaimed_only,
                before=page.after,
                size=page.size,
            )
            return accidents_pb2.ListAccidentReportsResponse(
                accident_reports=[report_message(report, "") for report in reports],
                next_page_token=page.next_token(
                    reports, lambda report: (report.create_time, report.id)
                ),
            )

        return await read(self._context, work)

    async def ListAccidents(
        self, request: accidents_pb2.ListAccidentsRequest, context: Context
    ) -> accidents_pb2.ListAccidentsResponse:
        """The standing accidents, latest first."""
        page = page_of(request, datetime, str)
        worker = parse.worker_id(request.worker) if request.worker else None

        async def work(tx: Transaction) -> accidents_pb2.ListAccidentsResponse:
            accidents = await accident_store.list_standing(
                tx, worker, after=page.after, size=page.size
            )
            return accidents_pb2.ListAccidentsResponse(
                accidents=[accident_message(accident) for accident in accidents],
                next_page_token=page.next_token(
                    accidents, lambda accident: (accident.accident_time, accident.id)
                ),
            )

        return await read(self._context, work)

    async def ListFilings(
        self, request: accidents_pb2.ListFilingsRequest, context: Context
    ) -> accidents_pb2.ListFilingsResponse:
        """Filings, oldest first."""
        page, chosen, view = (
            page_of(request, datetime, str),
            parse.filing_filter(request),
            self._view(),
        )
        cipher = self._context.cipher

        async def work(tx: Transaction) -> accidents_pb2.ListFilingsResponse:
            filings = await filing_store.list_by_time(
                tx, cipher, chosen, after=page.after, size=page.size
            )
            return accidents_pb2.ListFilingsResponse(
                filings=[await self._show(tx, view, filing, with_words=True) for filing in filings],
                next_page_token=page.next_token(
                    filings, lambda filing: (filing.claim.create_time, filing.claim.id)
                ),
            )

        return await read(self._context, work)

    async def AnswerFiling(
        self, request: accidents_pb2.AnswerFilingRequest, context: Context
    ) -> accidents_pb2.Filing:
        """Answer whether a filing is about the same accident as another claim."""
        filing_id, reasons = parse.claim_id(request.name), parse.reasons(request)
        answer = parse.one_of(AccidentAnswer, request.answer, "answer")
        same_as = parse.claim_id(request.claim, "claim") if request.claim else ""
        distinct_from = [parse.claim_id(text, "distinct_from") for text in request.distinct_from]

        async def work(tx: Transaction) -> accidents_pb2.Filing:
            command = self._context.command()
            if answer is AccidentAnswer.SAME:
                filing = await accident_commands.answer_same(
                    tx, command, filing_id, same_as, reasons
                )
            else:
                filing = await accident_commands.answer_distinct(
                    tx, command, filing_id, distinct_from, reasons
                )
            return await self._show(tx, self._view(), filing)

        return await change(
            self._context, request, accidents_pb2.Filing, work, resource=request.name
        )

    async def ContestFiling(
        self, request: accidents_pb2.ContestFilingRequest, context: Context
    ) -> accidents_pb2.Filing:
        """Contest the question on a filing, or its answer."""
        filing_id, reason = parse.claim_id(request.name), request.reason

        async def work(tx: Transaction) -> accidents_pb2.Filing:
            filing = await accident_commands.contest_filing(
                tx, self._context.command(), filing_id, reason
            )
            return await self._show(tx, self._view(), filing)

        return await change(
            self._context, request, accidents_pb2.Filing, work, resource=request.name
        )

    async def MergeClaims(
        self, request: accidents_pb2.MergeClaimsRequest, context: Context
    ) -> claims_pb2.Claim:
        """Merge two claims of one person that are about one accident."""
        claim_id = parse.claim_id(request.claim, "claim")
        merged_id = parse.claim_id(request.merged_claim, "merged_claim")
        reasons = parse.reasons(request)

        async def work(tx: Transaction) -> claims_pb2.Claim:
            claim = await accident_commands.merge_claims(
                tx, self._context.command(), claim_id, merged_id, reasons
            )
            return await show_claim(tx, self._context.cipher, self._view(), claim)

        return await change(self._context, request, claims_pb2.Claim, work, resource=request.claim)

    async def _show(
        self, tx: Transaction, view: View, filing: Filing, *, with_words: bool = False
    ) -> accidents_pb2.Filing:
        """A filing; while it is open, adjudicators see the claims near it."""
        near: Sequence[Accident] = ()
        if filing.is_open and view.sees_alerts:
            claim = filing.claim
            window = window_of(law_as_known(view.today), claim.accident_time, claim.place_of_injury)
            accidents = await accident_store.find_near(tx, claim.worker, window)
            near = [accident for accident in accidents if accident.filing_id != claim.id]
        return filing_message(view, filing, near, with_words=with_words)

    def _view(self) -> View:
        return View(caller(), today(self._context.clock), work_calendar())
