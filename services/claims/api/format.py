"""Domain values in, messages out; a platform sees nothing of another platform."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from oip.claims.v1 import accidents_pb2, claims_pb2
from oip.type.v1 import type_pb2

from services.claims.domain import due_dates
from services.claims.domain.accidents import Accident, Filing, question
from services.claims.domain.alerts import alerts
from services.claims.domain.claim import Claim, ClaimState
from services.claims.domain.confirmation import Determination, Preview
from services.claims.domain.evidence import Document, missing_documents
from services.claims.domain.law import PLACE_OF_ACCEPTANCE, SEVERAL_PLATFORMS, law_as_known
from services.claims.domain.order_records import (
    OrderEvidence,
    OrderState,
    latest,
    supplements_of,
)
from services.claims.domain.reports import AccidentReport
from services.claims.store import claims as claim_store
from services.claims.store import determinations as determination_store
from services.claims.store import evidence as evidence_store
from services.claims.store import order_records as record_store
from services.kernel.law import Finding
from services.kernel.names import name
from services.kernel.periods import civil_day
from services.kernel.workdays import WorkCalendar
from services.runtime.rpc.access import Caller
from services.runtime.rpc.survivors import survivor_to_wire
from services.runtime.rpc.wire import (
    date_to_wire,
    enum_number,
    finding_to_wire,
    findings_to_wire,
    moment_to_wire,
)
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction, seeing_everything

NEED_SURVIVORS = frozenset(
    {
        type_pb2.Access.WORKER_AGENT,
        type_pb2.Access.ADJUDICATOR,
        type_pb2.Access.FUND_OFFICER,
        type_pb2.Access.SERVICE,
    }
)
NEED_DESCRIPTION = frozenset({type_pb2.Access.ADJUDICATOR, type_pb2.Access.WORKER_AGENT})
# What a platform reads of a determination: that it bears the case, and where.
SHARE_PROVISIONS = frozenset({*SEVERAL_PLATFORMS.texts, PLACE_OF_ACCEPTANCE})
OUTCOME_OF = {
    ClaimState.MERGED: claims_pb2.Claim.ALREADY_CLAIMED,
    ClaimState.PENDING: claims_pb2.Claim.QUESTIONED,
}


@dataclass(frozen=True)
class View:
    """Who the message is for, the day, and the calendar that due dates follow."""

    caller: Caller
    today: date
    calendar: WorkCalendar

    @property
    def sees_survivors(self) -> bool:
        """Whether the caller's work needs the names and birth dates of kin."""
        return bool(NEED_SURVIVORS & self.caller.roles) and not self.caller.is_platform

    @property
    def sees_description(self) -> bool:
        """Whether the caller's work needs what was written of the accident."""
        return bool(NEED_DESCRIPTION & self.caller.roles) and not self.caller.is_platform

    @property
    def sees_alerts(self) -> bool:
        """Whether the caller decides on claims."""
        return type_pb2.Access.ADJUDICATOR in self.caller.roles

    def acts_on(self, claim: Claim) -> bool:
        """Whether the caller is asked for what is missing: any but a platform that did not file."""
        return not self.caller.is_platform or claim.filed_by == self.caller.platform

    def shows(self, text: str) -> bool:
        """Whether the caller may see a text that may name a platform's order."""
        if not self.caller.is_platform or "platforms/" not in text:
            return True
        return f"platforms/{self.caller.platform}/" in f"{text}/"


async def show_claim(
    tx: Transaction, cipher: ColumnCipher, view: View, claim: Claim
) -> claims_pb2.Claim:
    """A claim with its orders, last determination, missing documents and time limit."""
    orders = await record_store.find_of_claim(tx, claim.id)
    determination = await determination_store.find_latest(tx, cipher, claim.id)
    message = claim_message(view, claim, orders, determination)
    if view.acts_on(claim):
        async with seeing_everything(tx):
            documents = await evidence_store.count_by_kind(tx, claim.id)
        missing = missing_documents(claim, documents, law_as_known(view.today))
        message.missing_documents.extend(enum_number(kind.value) for kind in missing)
    if claim.running_clock is not None:
        time_limit = due_dates.clock_finding(claim.running_clock, claim.accident_day, view.calendar)
        message.time_limit.CopyFrom(finding_to_wire(time_limit))
    return message


async def show_filed(
    tx: Transaction, cipher: ColumnCipher, view: View, filing: Claim
) -> claims_pb2.Claim:
    """The claim of the accident that was filed, and what became of the filing."""
    whole = await claim_store.get(tx, cipher, filing.merged_into or filing.id)
    message = await show_claim(tx, cipher, view, whole)
    message.filing = filing.name
    message.filing_outcome = OUTCOME_OF.get(filing.state, claims_pb2.Claim.OPENED)
    return message


async def show_alerts(
    tx: Transaction, cipher: ColumnCipher, view: View, claim: Claim
) -> list[type_pb2.Finding]:
    """What advises a closer enquiry, for those who decide on the claim."""
    if not view.sees_alerts:
        return []
    orders = await record_store.find_of_claim(tx, claim.id)
    accidents = await claim_store.find_other_accidents(tx, claim)
    others = [civil_day(moment) for moment in accidents]
    filings = await claim_store.list_parts(tx, cipher, claim.id)
    return findings_to_wire(alerts(claim, orders, others, law_as_known(view.today), filings))


def accident_message(accident: Accident) -> accidents_pb2.Accident:
    """An accident."""
    return accidents_pb2.Accident(
        name=accident.name,
        worker=name("workers", accident.worker),
        accident_time=moment_to_wire(accident.accident_time),
        place_of_injury=accident.place_of_injury,
        claim=name("claims", accident.claim_id),
        number=accident.number,
        create_time=moment_to_wire(accident.create_time),
    )


def filing_message(
    view: View, filing: Filing, near: Sequence[Accident] = (), *, with_words: bool = False
) -> accidents_pb2.Filing:
    """A filing with what was said about it. A platform reads no words: they may speak of others.

    Answers to changes are stored, so they are without words too.
    """
    claim, sees = filing.claim, with_words and view.sees_description
    whole = claim.id if claim.accident else claim.merged_into
    return accidents_pb2.Filing(
        name=claim.name,
        worker=name("workers", claim.worker),
        state=enum_number(claim.state.value),
        claim=name("claims", whole) if whole else "",
        claimant_kind=enum_number(claim.claimant_kind.value),
        accident_time=moment_to_wire(claim.accident_time),
        place_of_injury=claim.place_of_injury,
        create_time=moment_to_wire(claim.create_time),
        open=filing.is_open,
        answers=[
            accidents_pb2.Filing.Answer(
                answer=enum_number(answer.answer.value),
                claim=name("claims", answer.other_claim) if answer.other_claim else "",
                code=enum_number(answer.reasons.code.value),
                reason=answer.reasons.text if sees else "",
                adjudicator=answer.adjudicator,
                create_time=moment_to_wire(answer.create_time),
            )
            for answer in filing.answers
        ],
        contests=[
            accidents_pb2.Filing.Contest(
                reason=contest.reason if sees else "",
                create_time=moment_to_wire(contest.create_time),
            )
            for contest in filing.contests
        ],
        near_claims=sorted({name("claims", accident.claim_id) for accident in near}),
        description=filing.description if sees else "",
    )


def report_message(report: AccidentReport, description: str) -> claims_pb2.AccidentReport:
    """An accident report."""
    return claims_pb2.AccidentReport(
        name=report.name,
        worker=name("workers", report.worker),
        accident_time=moment_to_wire(report.accident_time),
        place_of_injury=report.place_of_injury,
        description=description,
        create_time=moment_to_wire(report.create_time),
        reported_late=report.reported_late,
    )


def claim_message(
    view: View,
    claim: Claim,
    orders: Sequence[OrderEvidence],
    determination: Determination | None,
    *,
    with_findings: bool = True,
) -> claims_pb2.Claim:
    """A claim with its orders and its last determination, as the caller may see it."""
    message = claims_pb2.Claim(
        name=claim.name,
        revision=claim.revision,
        state=enum_number(claim.state.value),
        claimant_kind=enum_number(claim.claimant_kind.value),
        worker=name("workers", claim.worker),
        accident_time=moment_to_wire(claim.accident_time),
        place_of_injury=claim.place_of_injury,
        situation=enum_number(claim.situation.value),
        create_time=moment_to_wire(claim.create_time),
        filed_late=claim.filed_late,
        erased=claim.erased,
    )
    if view.acts_on(claim):
        message.requested_evidence.extend(claim.requested_evidence)
        if claim.accident_report:
            message.accident_report = name("accidentReports", claim.accident_report)
    if claim.accident:
        message.accident = name("accidents", claim.accident)
    if claim.merged_into:
        message.merged_into = name("claims", claim.merged_into)
    if claim.state is ClaimState.PENDING:
        message.question.CopyFrom(finding_to_wire(question(claim, law_as_known(view.today))))
    if view.sees_survivors:
        message.survivors.extend(survivor_to_wire(survivor) for survivor in claim.survivors)
    if claim.death_date is not None and not view.caller.is_platform:
        message.death_date.CopyFrom(date_to_wire(claim.death_date))
    message.orders.extend(_order_messages(claim, orders, determination))
    if not view.caller.is_platform or any(order.under_way for order in message.orders):
        message.pooling_area = claim.pooling_area
        message.industry = enum_number(claim.industry.value if claim.industry else 0)
    _add_clock(message, claim, view)
    if determination is not None:
        message.determination.CopyFrom(
            determination_message(view, claim, determination, with_findings=with_findings)
        )
    return message


def determination_message(
    view: View, claim: Claim, determination: Determination, *, with_findings: bool = True
) -> claims_pb2.Determination:
    """A determination with its findings."""
    day = civil_day(determination.create_time)
    service_due = due_dates.procedure_due(
        "conclusion_service_time", day, claim.place_of_injury, law_as_known(day), view.calendar
    )
    message = claims_pb2.Determination(
        name=determination.name,
        outcome=enum_number(determination.result.value),
        create_time=moment_to_wire(determination.create_time),
        adjudicator=determination.adjudicator,
        service_due_date=date_to_wire(service_due.day),
    )
    if not view.caller.is_platform or view.caller.platform == determination.platform:
        message.platform = (
            name("platforms", determination.platform) if determination.platform else ""
        )
    if determination.service_date is not None:
        _add_remedies(message, claim, determination.service_date, view.calendar)
    if determination.revoke_time is not None:
        message.revoke_time.CopyFrom(moment_to_wire(determination.revoke_time))
    if with_findings:
        message.findings.extend(findings_to_wire(_shown_findings(view, determination)))
    return message


def preview_message(claim: Claim, preview: Preview) -> claims_pb2.DeterminationPreview:
    """What a determination would find."""
    decision = preview.decision
    platform = decision.attribution.platform if decision and decision.attribution else ""
    return claims_pb2.DeterminationPreview(
        claim=claim.name,
        revision=claim.revision,
        outcome=enum_number(decision.result.value if decision else 0),
        findings=findings_to_wire(preview.findings),
        open_questions=preview.open_questions,
        platform=name("platforms", platform) if platform else "",
    )


def document_message(document: Document) -> claims_pb2.Evidence:
    """A document."""
    return claims_pb2.Evidence(
        name=document.name,
        kind=enum_number(document.kind.value),
        title=document.title,
        content_hash=document.content_hash,
        create_time=moment_to_wire(document.create_time),
    )


def _add_remedies(
    message: claims_pb2.Determination, claim: Claim, service_date: date, calendar: WorkCalendar
) -> None:
    law = law_as_known(service_date)
    remedies = due_dates.remedies(service_date, claim.place_of_injury, law, calendar)
    message.service_date.CopyFrom(date_to_wire(service_date))
    message.review_due_date.CopyFrom(date_to_wire(remedies.review.day))
    message.reconsideration_due_date.CopyFrom(date_to_wire(remedies.reconsideration.day))
    message.litigation_due_date.CopyFrom(date_to_wire(remedies.litigation.day))


def _add_clock(message: claims_pb2.Claim, claim: Claim, view: View) -> None:
    clock = claim.running_clock
    if clock is None:
        return
    message.step = enum_number(clock.step.value)
    message.remaining_days = clock.remaining(view.calendar, view.today)
    due = clock.due(view.calendar)
    if due is not None:
        message.due_date.CopyFrom(date_to_wire(due.day))
        message.due_date_provisional = due.provisional


def _order_messages(
    claim: Claim, orders: Sequence[OrderEvidence], determination: Determination | None
) -> Iterator[claims_pb2.OrderEvidence]:
    """The decisive revision of each order, whether it is charged, and its later revisions."""
    stands = determination is not None and determination.revoke_time is None
    charged = (determination.platform, determination.order_no) if determination and stands else None
    for order in latest(orders):
        message = _order_message(claim, order)
        message.charged = (order.platform, order.order_no) == charged
        message.later_revisions.extend(
            _order_message(claim, later) for later in supplements_of(order, orders)
        )
        yield message


def _order_message(claim: Claim, order: OrderEvidence) -> claims_pb2.OrderEvidence:
    message = claims_pb2.OrderEvidence(
        order=order.name,
        revision=order.revision,
        accept_time=moment_to_wire(order.accept_time),
        pooling_area=order.pooling_area,
        industry=enum_number(order.industry.value),
        under_way=order.was_under_way(claim.accident_time),
        late=order.late,
        cancelled=order.state is OrderState.CANCELLED,
        reversed=order.state is OrderState.REVERSED,
        receive_time=moment_to_wire(order.receive_time),
        other_worker=order.other_worker,
    )
    if order.end_time is not None:
        message.end_time.CopyFrom(moment_to_wire(order.end_time))
    if order.pick_up_time is not None:
        message.pick_up_time.CopyFrom(moment_to_wire(order.pick_up_time))
    return message


def _shown_findings(view: View, determination: Determination) -> list[Finding]:
    """The findings; to a platform those on its own share alone, without others' orders.

    The others say what happened to a person, and where one was.
    """
    if not view.caller.is_platform:
        return list(determination.findings)
    if view.caller.platform != determination.platform:
        return []
    return [
        replace(
            finding,
            inputs=tuple(pair for pair in finding.inputs if all(map(view.shows, pair))),
            outputs=tuple(pair for pair in finding.outputs if all(map(view.shows, pair))),
        )
        for finding in determination.findings
        if finding.provision in SHARE_PROVISIONS
    ]
