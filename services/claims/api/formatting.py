"""Domain values in, messages out; a platform is shown nothing of another platform."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from oip.claims.v1 import claims_pb2
from oip.type.v1 import type_pb2

from services.claims.domain import filing
from services.claims.domain.claim import AccidentReport, Claim, Document
from services.claims.domain.confirmation import Determination
from services.claims.domain.evidence import OrderEvidence, OrderState, latest
from services.claims.domain.law import law_as_known
from services.claims.events import survivor_to_wire
from services.kernel.law import Finding
from services.kernel.names import name
from services.kernel.periods import civil_day
from services.runtime.base.holidays import work_calendar
from services.runtime.rpc.access import Caller
from services.runtime.rpc.wire import date_to_wire, enum_number, findings_to_wire, moment_to_wire

NEED_SURVIVORS = frozenset(
    {
        type_pb2.Access.WORKER_AGENT,
        type_pb2.Access.ADJUDICATOR,
        type_pb2.Access.FUND_OFFICER,
        type_pb2.Access.SERVICE,
    }
)


@dataclass(frozen=True)
class View:
    """Who looks, and on which day."""

    caller: Caller
    today: date

    @property
    def sees_survivors(self) -> bool:
        """Whether the caller's work needs the names and birth dates of kin."""
        return bool(NEED_SURVIVORS & self.caller.roles) and not self.caller.is_platform

    def shows(self, text: str) -> bool:
        """Whether the caller may see a text that may name a platform's order."""
        if not self.caller.is_platform or "platforms/" not in text:
            return True
        return f"platforms/{self.caller.platform}/" in f"{text}/"


def report(made: AccidentReport, description: str) -> claims_pb2.AccidentReport:
    """An accident report."""
    return claims_pb2.AccidentReport(
        name=made.name,
        worker=name("workers", made.worker),
        accident_time=moment_to_wire(made.accident_time),
        place_of_injury=made.place_of_injury,
        description=description,
        create_time=moment_to_wire(made.create_time),
        reported_late=made.reported_late,
    )


def claim(
    view: View,
    held: Claim,
    orders: Sequence[OrderEvidence],
    made: Determination | None,
    *,
    findings: bool = True,
) -> claims_pb2.Claim:
    """A claim with its orders and its last determination, as the caller may see it."""
    message = claims_pb2.Claim(
        name=held.name,
        revision=held.revision,
        state=enum_number(held.state.value),
        claimant_kind=enum_number(held.claimant_kind.value),
        worker=name("workers", held.worker),
        accident_time=moment_to_wire(held.accident_time),
        place_of_injury=held.place_of_injury,
        situation=enum_number(held.situation.value),
        create_time=moment_to_wire(held.create_time),
        filed_late=held.filed_late,
        requested_evidence=held.requested_evidence,
    )
    if held.accident_report:
        message.accident_report = name("accidentReports", held.accident_report)
    if view.sees_survivors:
        message.survivors.extend(survivor_to_wire(one) for one in held.survivors)
    if held.death_date is not None:
        message.death_date.CopyFrom(date_to_wire(held.death_date))
    live = made if made is not None and made.revoke_time is None else None
    message.orders.extend(_orders(held, orders, live))
    if not view.caller.is_platform or any(one.under_way for one in message.orders):
        message.pooling_area = held.pooling_area
        message.industry = enum_number(held.industry.value if held.industry else 0)
    _add_clock(message, held, view.today)
    if made is not None:
        message.determination.CopyFrom(determination(view, held, made, findings=findings))
    return message


def determination(
    view: View, held: Claim, made: Determination, *, findings: bool = True
) -> claims_pb2.Determination:
    """A determination with its findings."""
    day = civil_day(made.create_time)
    served_by = filing.procedure_due(
        "conclusion_service_time", day, held.place_of_injury, law_as_known(day), work_calendar()
    )
    message = claims_pb2.Determination(
        name=made.name,
        outcome=enum_number(made.result.value),
        create_time=moment_to_wire(made.create_time),
        adjudicator=made.adjudicator,
        service_due_date=date_to_wire(served_by.day),
    )
    if made.service_date is not None:
        _add_remedies(message, held, made.service_date)
    if made.revoke_time is not None:
        message.revoke_time.CopyFrom(moment_to_wire(made.revoke_time))
    if findings:
        message.findings.extend(findings_to_wire(_shown(view, one) for one in made.findings))
    return message


def document(held: Document) -> claims_pb2.Evidence:
    """A document."""
    return claims_pb2.Evidence(
        name=held.name,
        kind=enum_number(held.kind.value),
        title=held.title,
        content_hash=held.content_hash,
        create_time=moment_to_wire(held.create_time),
    )


def _add_remedies(message: claims_pb2.Determination, held: Claim, served: date) -> None:
    law = law_as_known(served)
    left = filing.remedies(served, held.place_of_injury, law, work_calendar())
    message.service_date.CopyFrom(date_to_wire(served))
    message.review_due_date.CopyFrom(date_to_wire(left.review.day))
    message.reconsideration_due_date.CopyFrom(date_to_wire(left.reconsideration.day))
    message.litigation_due_date.CopyFrom(date_to_wire(left.litigation.day))


def _add_clock(message: claims_pb2.Claim, held: Claim, today: date) -> None:
    clock = held.running
    if clock is None:
        return
    calendar = work_calendar()
    message.step = enum_number(clock.step.value)
    message.remaining_days = clock.remaining(calendar, today)
    due = clock.due(calendar)
    if due is not None:
        message.due_date.CopyFrom(date_to_wire(due.day))
        message.due_date_provisional = due.provisional


def _orders(
    held: Claim, orders: Iterable[OrderEvidence], made: Determination | None
) -> list[claims_pb2.OrderEvidence]:
    percent = {(one.platform, one.order_no): one.percent for one in made.charges} if made else {}
    known = tuple(orders)
    shown = []
    for one in latest(known):
        message = _order(held, one, percent.get((one.platform, one.order_no), 0))
        beside = [late for late in known if late.beside and late.name == one.name]
        message.late_revisions.extend(_order(held, late, 0) for late in beside)
        shown.append(message)
    return shown


def _order(held: Claim, order: OrderEvidence, percent: int) -> claims_pb2.OrderEvidence:
    is_real = order.state is not OrderState.REVERSED
    message = claims_pb2.OrderEvidence(
        order=order.name,
        revision=order.revision,
        accept_time=moment_to_wire(order.accept_time),
        pooling_area=order.pooling_area,
        industry=enum_number(order.industry.value),
        under_way=is_real and not order.other_worker and order.spans(held.accident_time),
        charge_percent=percent,
        late=order.late,
        cancelled=order.state is OrderState.CANCELLED,
        reversed=not is_real,
        other_worker=order.other_worker,
    )
    if order.receive_time is not None:
        message.receive_time.CopyFrom(moment_to_wire(order.receive_time))
    if order.end_time is not None:
        message.end_time.CopyFrom(moment_to_wire(order.end_time))
    if order.pick_up_time is not None:
        message.pick_up_time.CopyFrom(moment_to_wire(order.pick_up_time))
    return message


def _shown(view: View, finding: Finding) -> Finding:
    """A finding without what a platform must not see: others' orders, reasons on health."""

    def kept(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        return tuple(
            (key, value)
            for key, value in pairs
            if view.shows(key)
            and view.shows(value)
            and not (view.caller.is_platform and key == "reason")
        )

    return replace(finding, inputs=kept(finding.inputs), outputs=kept(finding.outputs))
