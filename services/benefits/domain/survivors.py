"""Survivors' pensions: who qualifies, how long, with which share, under which cap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from services.benefits.domain import law as rules
from services.benefits.domain.findings import calculation, condition, percent
from services.benefits.domain.segments import Segment, merge
from services.kernel.law import Finding, Outcome
from services.kernel.lawbook import Law
from services.kernel.money import Fen, share, total
from services.kernel.parameters import Value
from services.kernel.periods import Month, age_on, birthday
from services.kernel.scheme import Relation, Survivor

_YOUNG = frozenset({Relation.CHILD, Relation.GRANDCHILD, Relation.SIBLING})
_NEEDS_NO_PARENT = frozenset({Relation.GRANDPARENT, Relation.SIBLING})


@dataclass(frozen=True)
class Qualification:
    """Whether a survivor qualifies, and the last month; None while it is open."""

    outcome: Outcome
    last_month: Month | None
    finding: Finding


@dataclass(frozen=True)
class Member:
    """A survivor with a pension: the share of B, and the months it is paid for."""

    survivor_id: str
    share: Decimal
    first_month: Month
    last_month: Month | None = None

    def is_paid_in(self, month: Month) -> bool:
        """Whether a month is one of theirs."""
        return self.first_month <= month and (self.last_month is None or month <= self.last_month)


def qualification(
    law: Law, survivor: Survivor, all_named: Sequence[Survivor], death: date, where: str
) -> Qualification:
    """Whether a survivor counts among the supported (供养亲属) on the day of death.

    Children, grandchildren and siblings under 18; spouse, parents and grandparents from 60 (men)
    or 55 (women); anyone totally disabled. Grandparents only if no parent of the deceased is
    named, siblings only if no named parent could support them. The month of the 18th birthday is
    the last one. 因工死亡职工供养亲属范围规定 art. 2-4; the ages are parameters.
    """
    ages = law.on("survivor_age", death, where)
    if survivor.relation in _NEEDS_NO_PARENT:
        parents = [
            other
            for other in all_named
            if other.relation is Relation.PARENT
            and (survivor.relation is Relation.GRANDPARENT or not other.totally_disabled)
        ]
        if parents:
            return _qualification(
                survivor, Outcome.NOT_MET, "a parent of the deceased is alive", "死者父母健在"
            )
    if survivor.totally_disabled:
        return _qualification(survivor, Outcome.MET, "totally disabled", "完全丧失劳动能力")
    if survivor.birth_date is None:
        return _qualification(
            survivor, Outcome.UNCLEAR, "the birth date is not known", "出生日期不详, 需人工核实"
        )
    return _by_age(survivor, survivor.birth_date, death, ages)


def _by_age(survivor: Survivor, birth: date, death: date, ages: Value) -> Qualification:
    age = age_on(birth, death)
    if survivor.relation in _YOUNG:
        limit = int(ages.at("child"))
        if age < limit:
            last = Month.of(birthday(birth, limit))
            reason = f"under {limit} years old", f"未满 {limit} 周岁"
            return _qualification(
                survivor, Outcome.MET, *reason, last_month=last, death=death, ages=ages
            )
        reason = f"{limit} years old or more", f"已满 {limit} 周岁"
        return _qualification(survivor, Outcome.NOT_MET, *reason, death=death, ages=ages)
    limit = int(ages.at("male" if survivor.male else "female"))
    if age >= limit:
        reason = f"{limit} years old or more", f"已满 {limit} 周岁"
        return _qualification(survivor, Outcome.MET, *reason, death=death, ages=ages)
    reason = (
        f"under {limit} years old and not totally disabled",
        f"未满 {limit} 周岁且未完全丧失劳动能力",
    )
    return _qualification(survivor, Outcome.NOT_MET, *reason, death=death, ages=ages)


def share_of(law: Law, survivor: Survivor, death: date, where: str) -> tuple[Decimal, Value]:
    """The share of B: spouse 40 %, each other 30 %, ten points more for a lonely old or orphan."""
    shares = law.on("survivor_share", death, where)
    key = "spouse" if survivor.relation is Relation.SPOUSE else "other"
    return shares.at(key) + (shares.at("alone") if survivor.alone else Decimal(0)), shares


def amounts(base: Fen, shares: Sequence[Decimal], cap: Decimal) -> list[Fen]:
    """What each survivor gets of B for shares in the order of entry, fen per month.

    Each amount is rounded separately while the sum stays within the cap. Beyond it the cap is
    shared in proportion: amounts are floored and the left-over fen go to the largest fractions,
    ties to the earlier survivor.
    """
    plain = [base.times(one) for one in shares]
    limit = base.times(cap)
    return plain if total(plain) <= limit else share(limit, shares)


def timeline(base: Fen, members: Sequence[Member], cap: Decimal) -> dict[str, tuple[Segment, ...]]:
    """Each survivor's amounts, recomputed whenever one joins or leaves."""
    starts = {member.first_month for member in members}
    ends = {member.last_month.plus(1) for member in members if member.last_month is not None}
    segments: dict[str, list[Segment]] = {member.survivor_id: [] for member in members}
    for month in sorted(starts | ends):
        paid = [member for member in members if member.is_paid_in(month)]
        if not paid:
            continue
        reason = f"{len(paid)} survivors share" if len(paid) > 1 else "one survivor"
        parts = amounts(base, [member.share for member in paid], cap)
        for member, amount in zip(paid, parts, strict=True):
            segments[member.survivor_id].append(Segment(month, amount, reason))
    return {survivor: merge(lines) for survivor, lines in segments.items()}


def pension_finding(
    base: Fen, member: Member, members: Sequence[Member], amount: Fen, shares: Value
) -> Finding:
    """How one survivor's first monthly amount comes about."""
    paid = [one for one in members if one.is_paid_in(member.first_month)]
    sum_of_shares = sum((one.share for one in paid), Decimal(0))
    cap = shares.at("cap")
    scaled = total([base.times(one.share) for one in paid]) > base.times(cap)
    arithmetic = f"{base} x {member.share} = {base.times(member.share)}"
    if scaled:
        arithmetic = f"{base} x {cap} x {member.share} / {sum_of_shares} = {amount}"
    return calculation(
        rules.SURVIVORS,
        f"The pension is {percent(member.share)} of the benefit base"
        + (f", scaled because all shares sum to {percent(sum_of_shares)}" if scaled else "")
        + f": {amount.yuan} yuan a month.",
        f"供养亲属抚恤金每月为待遇计发基数的 {percent(member.share)}"
        + (f", 各供养亲属合计 {percent(sum_of_shares)} 超过上限, 按比例核减" if scaled else "")
        + f": {amount.yuan} 元。",
        arithmetic,
        inputs={
            "survivor": member.survivor_id,
            "benefit_base": base,
            "shares": ", ".join(str(one.share) for one in paid),
        },
        outputs={"amount": amount, "first_month": member.first_month},
        values=(shares,),
    )


def _qualification(
    survivor: Survivor,
    outcome: Outcome,
    why: str,
    why_zh: str,
    *,
    last_month: Month | None = None,
    death: date | None = None,
    ages: Value | None = None,
) -> Qualification:
    verdict = {
        Outcome.MET: ("is supported", "属于供养亲属"),
        Outcome.NOT_MET: ("is not supported", "不属于供养亲属"),
        Outcome.UNCLEAR: ("needs a person's decision", "需人工认定"),
    }[outcome]
    until = f", until {last_month}" if last_month else ""
    until_zh = f", 至 {last_month} 止" if last_month else ""
    return Qualification(
        outcome,
        last_month,
        condition(
            rules.DEPENDANT,
            outcome,
            f"{survivor.survivor_id} ({survivor.relation.name.lower()}) {verdict[0]}: {why}"
            f"{until}.",
            f"{survivor.survivor_id} {verdict[1]}: {why_zh}{until_zh}。",
            inputs={
                "survivor": survivor.survivor_id,
                "relation": survivor.relation,
                "birth_date": survivor.birth_date,
                "death_date": death,
                "totally_disabled": survivor.totally_disabled,
            },
            outputs={"last_month": last_month},
            values=(ages,) if ages else (),
        ),
    )
