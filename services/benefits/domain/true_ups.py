"""True-ups (清算): what a figure published later changes about the awards that waited for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.benefits.domain.award import Award
from services.benefits.domain.figures import AVERAGE_WAGE
from services.benefits.domain.kinds import PERIODIC, BenefitKind
from services.benefits.domain.reconciliation import Changes, PaidAward
from services.kernel.law import ParameterVersion
from services.kernel.money import ZERO, Fen, total
from services.kernel.names import id_from
from services.kernel.periods import Month


@dataclass(frozen=True)
class TrueUp:
    """The change of one provisional award by published figures; it is never changed itself.

    `before` and `after` are the sum, or the sum of `month` for a monthly benefit. `difference` is
    what becomes due besides for months paid already, negative where it is offset against later
    payments. `figures` take the place of what stood in; the award is final once it waits for none.
    """

    id: str
    award: str
    claim: str
    kind: BenefitKind
    pooling_area: str
    month: Month
    before: Fen
    after: Fen
    difference: Fen
    figures: tuple[ParameterVersion, ...]
    is_final: bool
    member: str = ""
    create_time: datetime | None = None

    @property
    def name(self) -> str:
        """The resource name."""
        return f"trueUps/{self.id}"


def true_ups(awards: Sequence[PaidAward], changes: Changes, month: Month) -> list[TrueUp]:
    """What changes mean for the awards that waited for figures, in a decision of `month`.

    A change without a new figure is none: it comes from another fact.
    """
    waited = {paid.award.id: paid.award for paid in awards if paid.award.awaits}
    records = []
    for after in changes.change:
        before = waited.get(after.id)
        if before is None or not after.pays:
            continue
        figures = _new_figures(before, after)
        if not figures:
            continue
        shown = _month_shown(after, month)
        records.append(
            TrueUp(
                id=id_from(after.id, str(after.revision), "true-up"),
                award=after.id,
                claim=after.claim,
                kind=after.kind,
                pooling_area=after.pooling_area,
                month=shown,
                before=_amount(before, shown),
                after=_amount(after, shown),
                difference=_difference(after.id, awards, changes),
                figures=figures,
                is_final=not after.awaits,
            )
        )
    return records


def moved(awards: Sequence[PaidAward], changes: Changes, month: Month) -> Fen:
    """The money that changes move, of every award, also of one that waited for nothing.

    For each award that is what becomes due besides, or what is due in another amount.
    """
    changed = {after.id: after for after in changes.change}
    sums = []
    for before in (paid.award for paid in awards):
        after = changed.get(before.id, before)
        shown = _month_shown(after, month)
        other = _size(_amount(after, shown) - _amount(before, shown))
        sums.append(max(other, _size(_difference(before.id, awards, changes))))
    return total(sums)


def _new_figures(before: Award, after: Award) -> tuple[ParameterVersion, ...]:
    """The figures of the kinds waited for that the award did not rest on before."""
    names = {figure.parameter for figure in before.awaits} | {AVERAGE_WAGE}
    old = set(_figures(before))
    return tuple(
        dict.fromkeys(each for each in _figures(after) if each.name in names and each not in old)
    )


def _figures(award: Award) -> Iterable[ParameterVersion]:
    return (version for finding in award.findings for version in finding.parameters)


def _month_shown(award: Award, month: Month) -> Month:
    """The month of the decision, or the nearest one of the award."""
    last = month if award.last_month is None else min(month, award.last_month)
    return max(last, award.first_month)


def _amount(award: Award, month: Month) -> Fen:
    if award.kind in PERIODIC:
        return award.amount_in(month)
    return award.segments[0].amount if award.segments else ZERO


def _difference(award: str, awards: Sequence[PaidAward], changes: Changes) -> Fen:
    """What is paid besides for an award, less what is recovered and what is not paid besides."""
    stood = {paid.award.id: paid.award for paid in awards if paid.award.pays}
    ended = (
        stood[each.id].amount
        for each in changes.change
        if each.adjusts == award and each.id in stood and not each.pays
    )
    besides = total(each.amount for each in changes.grant if each.adjusts == award)
    recovered = total(each.amount for each in changes.recover if each.award == award)
    return besides - recovered - total(ended)


def _size(amount: Fen) -> Fen:
    return Fen(abs(amount.count))
