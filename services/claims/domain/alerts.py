"""Alerts advise a closer enquiry. An alert decides nothing: it says where a person should look."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from services.claims.domain.claim import Claim, reported_death
from services.claims.domain.order_records import OrderEvidence, format_moment, under_way_at
from services.kernel.law import Finding, Outcome, Provision, Tag, facts
from services.kernel.lawbook import Law

CLOSER_ENQUIRY = Provision("疑点核查规则", "", Tag.ASSUMED)


def alerts(
    claim: Claim,
    orders: Sequence[OrderEvidence],
    others: Sequence[date],
    law: Law,
    filings: Sequence[Claim] = (),
) -> tuple[Finding, ...]:
    """What the records, the enrolment, other claims and further filings say of a claim.

    `others` are the days of accidents of the same worker in other claims; `filings` are the further
    filings that are part of the claim.
    """
    findings = (
        _changed_records(orders),
        _soon_after_enrolment(claim, law),
        _other_claims(claim, others, law),
        _order_just_accepted(claim, orders, law),
        _death_reported(claim, filings),
    )
    return tuple(finding for finding in findings if finding is not None)


def _changed_records(orders: Sequence[OrderEvidence]) -> Finding | None:
    changed = sorted({order.name for order in orders if order.late and order.revision > 1})
    if not changed:
        return None
    return _alert(
        "order_changed_late",
        "An order's record was changed after the accident had been reported.",
        "订单记录在报案之后有变更。",
        facts(orders=", ".join(changed)),
    )


def _soon_after_enrolment(claim: Claim, law: Law) -> Finding | None:
    days = law.on("alert_days_after_enrolment", claim.accident_day, claim.place_of_injury)
    first = min(
        (enrolment.enrol_date for enrolment in claim.enrolments), default=claim.accident_day
    )
    if claim.accident_day - first >= timedelta(days=int(days.decimal)):
        return None
    return _alert(
        "soon_after_enrolment",
        f"The accident came within {days.value} days of the first enrolment, on {first}.",
        f"事故发生在首次参保登记({first})后 {days.value} 日内。",
        facts(first_enrolment=first, accident_date=claim.accident_day),
    )


def _other_claims(claim: Claim, others: Sequence[date], law: Law) -> Finding | None:
    days = law.on("alert_days_between_claims", claim.accident_day, claim.place_of_injury)
    reach = timedelta(days=int(days.decimal))
    near = sorted(day for day in others if abs(day - claim.accident_day) <= reach)
    if not near:
        return None
    return _alert(
        "other_claims",
        f"The worker has {len(near)} other claims within {days.value} days.",
        f"该劳动者在 {days.value} 日内另有 {len(near)} 件申请。",
        facts(accident_dates=", ".join(map(str, near))),
    )


def _order_just_accepted(claim: Claim, orders: Sequence[OrderEvidence], law: Law) -> Finding | None:
    minutes = law.on("alert_minutes_after_acceptance", claim.accident_day, claim.place_of_injury)
    moment = claim.accident_time
    covering = under_way_at(orders, moment)
    if len(covering) != 1:
        return None
    (only,) = covering
    if moment - only.accept_time >= timedelta(minutes=int(minutes.decimal)):
        return None
    return _alert(
        "order_just_accepted",
        f"The only order under way was accepted less than {minutes.value} minutes before.",
        f"唯一在执行的订单在事故前不足 {minutes.value} 分钟内接单。",
        facts(accept_time=format_moment(only.accept_time), accident_time=format_moment(moment)),
    )


def _death_reported(claim: Claim, filings: Sequence[Claim]) -> Finding | None:
    filing = reported_death(claim, filings)
    if filing is None:
        return None
    return _alert(
        "death_reported",
        f"{filing.name} about this accident reports the death of the worker on "
        f"{filing.death_date}; withdraw the determination and determine the claim on the death.",
        f"同一事故的 {filing.name} 报告劳动者于 {filing.death_date} 死亡; "
        "请撤销结论, 并按死亡情形重新作出结论。",
        facts(filing=filing.name, death_date=filing.death_date),
    )


def _alert(question: str, text: str, text_zh: str, inputs: tuple[tuple[str, str], ...]) -> Finding:
    inputs = (*facts(question=question), *inputs)
    return Finding(CLOSER_ENQUIRY, Outcome.UNCLEAR, text, text_zh, inputs)
