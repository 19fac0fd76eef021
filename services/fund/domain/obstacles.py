"""Obstacles to proposing a month: a refusal each, with a reason and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from services.fund.domain.problems import (
    AlarmsOpen,
    DatabaseIsBehind,
    DeadLettersOpen,
    EarlierMonthOpen,
    EventsDiffer,
    EventsNotConsumed,
    EventsNotPublished,
    LaterMonthClosed,
    LostEventsNotResolved,
    MonthNotEnded,
    PeriodNotOver,
    ProducerUnreachable,
    SumsDiffer,
)
from services.fund.domain.producers import (
    FUND,
    PAYMENT_INSTRUCTED,
    PREMIUM_ASSESSED,
    PREMIUM_RECEIVED,
    PRODUCERS,
    Deliveries,
    Delivery,
    EndedMonth,
)
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.kernel.phrases import Phrase, service_label
from services.kernel.problems import Problem, ValuesNotConfirmed

# What has to be done for a producer to end a month; the others end it by themselves.
_STEPS = {
    "premiums": Phrase(
        "ASSESS_PREMIUMS",
        "assess its premiums, also if there are none",
        "请先核定该月保费(无保费亦须核定)",
    ),
    "benefits": Phrase(
        "INSTRUCT_PAYMENTS",
        "instruct its payments, also if there are none",
        "请先生成该月待遇支付(无支付亦须生成)",
    ),
}
_STEP = Phrase(
    "WAIT", "check that the service runs, and wait a moment", "请检查该服务是否运行并稍候"
)
_EVENTS = {
    event: Phrase(event.rpartition(".")[2], title, title_zh)
    for event, title, title_zh in (
        (PREMIUM_ASSESSED, "premiums assessed", "核定保费"),
        (PREMIUM_RECEIVED, "premiums received", "收到保费"),
        (PAYMENT_INSTRUCTED, "payments instructed", "待遇支付"),
    )
}


@dataclass(frozen=True)
class CloseReadiness:
    """What a proposal depends on besides the figures of the month.

    `earlier_open` are earlier months with postings that are not closed. `ended` has the producers
    whose MonthEnded was consumed. `posted` are the sums the fund posted, by event, with producer.
    """

    deliveries: Deliveries
    ended: Mapping[str, EndedMonth]
    closed_through: Month | None = None
    earlier_open: Sequence[Month] = ()
    posted: Mapping[str, tuple[str, Fen]] = field(default_factory=dict)
    # Parameters with assumed values that the settlement uses and nobody has confirmed.
    unconfirmed: Sequence[str] = ()


def obstacles(month: Month, today: date, readiness: CloseReadiness) -> list[Problem]:
    """Why the month cannot be proposed today; empty if it can."""
    return [
        *_order(month, today, readiness),
        *delivery_obstacles(readiness.deliveries),
        *_unended(month, readiness),
        *_sums(month, readiness),
        *_unconfirmed(month, readiness),
    ]


def delivery_obstacles(deliveries: Deliveries) -> list[Problem]:
    """What is not delivered: each event has to be published and consumed by all its consumers."""
    reasons: list[Problem] = []
    services = {FUND: deliveries.fund, **deliveries.answers}
    for producer in PRODUCERS:
        answer = deliveries.answers[producer]
        if answer is None:
            reasons.append(ProducerUnreachable(producer=service_label(producer)))
            continue
        target = deliveries.targets.get(producer, answer.written_count)
        if answer.published_seq < target:
            count = target - answer.published_seq
            reasons.append(EventsNotPublished(producer=service_label(producer), count=count))
        reasons += [
            reason
            for consumer, delivery in services.items()
            if delivery is not None and (consumer == FUND or delivery.consumes(producer))
            for reason in _unconsumed(producer, answer, target, consumer, delivery)
        ]
    reasons += _open_cases(services)
    return reasons


def _order(month: Month, today: date, readiness: CloseReadiness) -> list[Problem]:
    reasons: list[Problem] = []
    if today <= month.last_day:
        reasons.append(PeriodNotOver(month=month, first_day=month.plus(1).first_day))
    if readiness.closed_through is not None and month < readiness.closed_through:
        reasons.append(LaterMonthClosed(month=month, later=readiness.closed_through))
    if readiness.earlier_open:
        reasons.append(EarlierMonthOpen(month=month, earlier=min(readiness.earlier_open)))
    return reasons


def _unconsumed(
    producer: str, answer: Delivery, target: int, consumer: str, delivery: Delivery
) -> list[Problem]:
    """Whether a consumer lacks events of a producer, or has consumed others than it published."""
    consumed = [
        (epoch, position)
        for (name, epoch), position in delivery.consumed.items()
        if name == producer
    ]
    count = sum(position.seq for epoch, position in consumed if epoch == answer.epoch)
    if count < target or not all(position.is_whole for _, position in consumed):
        return [
            EventsNotConsumed(
                producer=service_label(producer),
                consumer=service_label(consumer),
                consumed=count,
                published=target,
            )
        ]
    for epoch, closed_seq in answer.closed.items():
        seq = sum(position.seq for name, position in consumed if name == epoch)
        if seq < closed_seq:
            return [
                EventsNotConsumed(
                    producer=service_label(producer),
                    consumer=service_label(consumer),
                    consumed=seq,
                    published=closed_seq,
                )
            ]
    if consumer == FUND:
        # The producer confirmed the newest position of the fund.
        differs = bool(consumed) and consumed[-1][1].fingerprint != answer.confirmed
    else:
        # Both answered about the same number unless an event came between the answers.
        differs = any(
            epoch == answer.epoch
            and position.seq == answer.published_seq
            and position.fingerprint != answer.fingerprint
            for epoch, position in consumed
            if position.seq
        )
    return (
        [EventsDiffer(producer=service_label(producer), consumer=service_label(consumer))]
        if differs
        else []
    )


def _open_cases(services: Mapping[str, Delivery | None]) -> list[Problem]:
    """Dead letters, alarms and restored databases that nobody has resolved."""
    reasons: list[Problem] = []
    for service, delivery in services.items():
        if delivery is None:
            continue
        if delivery.dead_letter_count:
            reasons.append(
                DeadLettersOpen(service=service_label(service), count=delivery.dead_letter_count)
            )
        if delivery.alarm_count:
            reasons.append(AlarmsOpen(service=service_label(service), count=delivery.alarm_count))
        if delivery.is_behind:
            reasons.append(DatabaseIsBehind(service=service_label(service)))
        if delivery.lost_event_count:
            reasons.append(
                LostEventsNotResolved(
                    service=service_label(service), count=delivery.lost_event_count
                )
            )
    return reasons


def _unended(month: Month, readiness: CloseReadiness) -> list[Problem]:
    reasons: list[Problem] = []
    for producer in PRODUCERS:
        if producer not in readiness.ended:
            step = _STEPS.get(producer, _STEP)
            label = service_label(producer)
            reasons.append(MonthNotEnded(month=month, producer=label, step=step))
    return reasons


def _unconfirmed(month: Month, readiness: CloseReadiness) -> list[Problem]:
    """In production a month cannot be closed on assumed values, so it is not proposed either."""
    if not readiness.unconfirmed:
        return []
    act, parameters = f"settlementPeriods/{month}", ", ".join(readiness.unconfirmed)
    return [ValuesNotConfirmed(act=act, parameters=parameters)]


def _sums(month: Month, readiness: CloseReadiness) -> list[Problem]:
    """Sums that a producer counted otherwise than the fund posted them."""
    return [
        SumsDiffer(
            month=month,
            producer=service_label(producer),
            event=_EVENTS[event],
            counted=readiness.ended[producer].amount_of(event).yuan,
            posted=posted.yuan,
        )
        for event, (producer, posted) in readiness.posted.items()
        if producer in readiness.ended and readiness.ended[producer].amount_of(event) != posted
    ]
