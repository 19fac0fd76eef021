"""The events that suspend or end a monthly benefit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum

from services.benefits.domain import law as rules
from services.benefits.domain.findings import condition
from services.kernel.law import Finding, Outcome, Provision
from services.kernel.periods import Month
from services.kernel.scheme import Relation, Survivor


class Event(Enum):
    """An event in the life of a person in payment."""

    DIED = "died"
    REMARRIED = "married again"
    EMPLOYED = "took up work or joined the army"
    ADOPTED = "adopted by others"
    IMPRISONED = "serves a sentence"
    REFUSED_APPRAISAL = "refuses the appraisal"
    REFUSED_TREATMENT = "refuses treatment"
    CONDITION_LOST = "no longer meets the condition"


class Effect(Enum):
    """The effect of an event on a monthly benefit."""

    NONE = "goes on"
    REST = "rests until the event is over"
    END = "ends"


@dataclass(frozen=True)
class Stop:
    """The effect of an event, and the last month paid; that month is paid in full."""

    effect: Effect
    last_month: Month | None
    finding: Finding


_OF_SURVIVORS = {
    Event.DIED: Effect.END,
    Event.REMARRIED: Effect.END,
    Event.EMPLOYED: Effect.END,
    Event.ADOPTED: Effect.END,
    Event.CONDITION_LOST: Effect.END,
    Event.IMPRISONED: Effect.REST,
}
# Prison has not stopped disability benefits since 2011; work does not either.
_OF_WORKERS = {
    Event.DIED: Effect.END,
    Event.CONDITION_LOST: Effect.END,
    Event.REFUSED_APPRAISAL: Effect.REST,
    Event.REFUSED_TREATMENT: Effect.REST,
}


def stop_of_survivor(survivor: Survivor, event: Event, day: date) -> Stop:
    """What an event does to a survivor's pension. 因工死亡职工供养亲属范围规定 art. 4.

    Marrying again ends only the pension of a spouse, adoption only that of a young survivor; work
    does not end the pension of a person who is totally disabled.
    """
    effect = _OF_SURVIVORS.get(event, Effect.NONE)
    if event is Event.REMARRIED and survivor.relation is not Relation.SPOUSE:
        effect = Effect.NONE
    young = {Relation.CHILD, Relation.GRANDCHILD, Relation.SIBLING}
    if event is Event.ADOPTED and survivor.relation not in young:
        effect = Effect.NONE
    if event is Event.EMPLOYED and survivor.totally_disabled:
        effect = Effect.NONE
    return _stop(rules.DEPENDANT_ENDS, survivor.survivor_id, event, effect, day)


def stop_of_worker(event: Event, day: date) -> Stop:
    """What an event does to disability and care allowance. 工伤保险条例 art. 42."""
    return _stop(rules.STOP, "worker", event, _OF_WORKERS.get(event, Effect.NONE), day)


def _stop(provision: Provision, who: str, event: Event, effect: Effect, day: date) -> Stop:
    last = None if effect is Effect.NONE else Month.of(day)
    effect_zh = {Effect.NONE: "继续发放", Effect.REST: "停发", Effect.END: "终止"}[effect]
    until = "" if last is None else f"; {last} is the last month paid"
    until_zh = "" if last is None else f", 发放至 {last}"
    return Stop(
        effect,
        last,
        condition(
            provision,
            Outcome.NOT_MET if effect is Effect.NONE else Outcome.MET,
            f"{who}: {event.value} on {day}; the benefit {effect.value}{until}.",
            f"{who} 于 {day} 发生 {event.name}: 待遇{effect_zh}{until_zh}。",
            inputs={"event": event, "day": day},
            outputs={"effect": effect, "last_month": last},
        ),
    )
