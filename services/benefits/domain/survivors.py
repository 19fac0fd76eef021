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
from services.kernel.scheme import NearerKin, Relation, Survivor

_YOUNG = frozenset({Relation.CHILD, Relation.GRANDCHILD, Relation.SIBLING})
_AFTER_NEARER_KIN = frozenset({Relation.GRANDPARENT, Relation.GRANDCHILD, Relation.SIBLING})
_CANNOT_SUPPORT = frozenset({NearerKin.DEAD, NearerKin.UNABLE})


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


@dataclass(frozen=True)
class _Verdict:
    """One condition of support: its outcome, the reason in both languages, and an end."""

    outcome: Outcome
    why: str
    why_zh: str
    last_month: Month | None = None


def qualification(
    law: Law, survivor: Survivor, all_named: Sequence[Survivor], death: date, where: str
) -> Qualification:
    """Whether a survivor counts among the supported (供养亲属) on the day of death.

    The deceased was the main support, which a document shows; nobody nearer has to support the
    survivor; and the survivor is too young, too old or unable to work. The first condition that is
    not met decides, then the first one that a person has to decide.
    因工死亡职工供养亲属范围规定 art. 2-4; the ages are parameters.
    """
    ages = law.on("survivor_age", death, where)
    inability = _inability(survivor, death, ages)
    verdicts = (_support(survivor), _nearer_kin(survivor, all_named), inability)
    by_weight = [
        verdict
        for outcome in (Outcome.NOT_MET, Outcome.UNCLEAR)
        for verdict in verdicts
        if verdict.outcome is outcome
    ]
    return _qualification(survivor, (*by_weight, inability)[0], death, ages)


def _support(survivor: Survivor) -> _Verdict:
    """The deceased was the main source of living (依靠其生前提供主要生活来源)."""
    if survivor.supported is None:
        return _Verdict(
            Outcome.UNCLEAR,
            "nobody has said whether the deceased was the main support",
            "未说明是否依靠死者提供主要生活来源",
        )
    if not survivor.supported:
        return _Verdict(
            Outcome.NOT_MET,
            "the deceased was not the main support",
            "并非依靠死者提供主要生活来源",
        )
    if not survivor.support_document:
        return _Verdict(
            Outcome.UNCLEAR,
            "no document shows that the deceased was the main support",
            "缺少依靠死者提供主要生活来源的证明",
        )
    return _Verdict(Outcome.MET, "supported by the deceased", "依靠死者提供主要生活来源")


def _nearer_kin(survivor: Survivor, all_named: Sequence[Survivor]) -> _Verdict:
    """Nobody nearer has to support a grandparent, a grandchild or a sibling.

    Those are the parents of the deceased, and for a grandchild its own parent, the child of the
    deceased. They are dead, or for the young ones wholly unable to work.
    """
    relation = survivor.relation
    if relation not in _AFTER_NEARER_KIN:
        return _Verdict(Outcome.MET, "of the nearest kin", "属于最近亲属")
    nearer, nearer_zh = (
        ("its parent", "其父母(死者子女)")
        if relation is Relation.GRANDCHILD
        else ("a parent of the deceased", "死者父母")
    )
    sufficient = {NearerKin.DEAD} if relation is Relation.GRANDPARENT else _CANNOT_SUPPORT
    if survivor.nearer_kin is None:
        return _Verdict(
            Outcome.UNCLEAR,
            f"nobody has said whether {nearer} is alive and able to work",
            f"未说明{nearer_zh}是否健在或有劳动能力",
        )
    if survivor.nearer_kin not in sufficient or _is_supported_by_a_parent(survivor, all_named):
        able = "alive" if relation is Relation.GRANDPARENT else "alive and able to work"
        able_zh = "健在" if relation is Relation.GRANDPARENT else "健在且有劳动能力"
        return _Verdict(Outcome.NOT_MET, f"{nearer} is {able}", f"{nearer_zh}{able_zh}")
    return _Verdict(Outcome.MET, "nobody nearer can support", "无更近亲属可供养")


def _is_supported_by_a_parent(survivor: Survivor, all_named: Sequence[Survivor]) -> bool:
    """Whether a parent of the deceased is named who comes before this survivor."""
    if survivor.relation is Relation.GRANDCHILD:
        return False
    is_grandparent = survivor.relation is Relation.GRANDPARENT
    return any(
        other.relation is Relation.PARENT and (is_grandparent or not other.totally_disabled)
        for other in all_named
    )


def _inability(survivor: Survivor, death: date, ages: Value) -> _Verdict:
    """Too young, too old, or wholly unable to work; the month of a limit's birthday is the last."""
    if survivor.totally_disabled:
        return _Verdict(Outcome.MET, "totally disabled", "完全丧失劳动能力")
    if survivor.birth_date is None:
        return _Verdict(Outcome.UNCLEAR, "the birth date is not known", "出生日期不详, 需人工核实")
    age = age_on(survivor.birth_date, death)
    if survivor.relation in _YOUNG:
        limit = int(ages.at("child"))
        if age < limit:
            last = Month.of(birthday(survivor.birth_date, limit))
            return _Verdict(
                Outcome.MET, f"under {limit} years old", f"未满 {limit} 周岁", last_month=last
            )
        return _Verdict(Outcome.NOT_MET, f"{limit} years old or more", f"已满 {limit} 周岁")
    limit = int(ages.at("male" if survivor.male else "female"))
    if age >= limit:
        return _Verdict(Outcome.MET, f"{limit} years old or more", f"已满 {limit} 周岁")
    return _Verdict(
        Outcome.NOT_MET,
        f"under {limit} years old and not totally disabled",
        f"未满 {limit} 周岁且未完全丧失劳动能力",
    )


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
    base: Fen,
    member: Member,
    members: Sequence[Member],
    amount: Fen,
    shares: Value,
    *,
    accident: date,
) -> Finding:
    """How one survivor's first monthly amount comes about; the accident chooses the provision."""
    paid = [one for one in members if one.is_paid_in(member.first_month)]
    sum_of_shares = sum((one.share for one in paid), Decimal(0))
    cap = shares.at("cap")
    scaled = total([base.times(one.share) for one in paid]) > base.times(cap)
    arithmetic = f"{base} x {member.share} = {base.times(member.share)}"
    if scaled:
        arithmetic = f"{base} x {cap} x {member.share} / {sum_of_shares} = {amount}"
    return calculation(
        rules.SURVIVORS.on(accident),
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
    survivor: Survivor, verdict: _Verdict, death: date, ages: Value
) -> Qualification:
    said, said_zh = {
        Outcome.MET: ("is supported", "属于供养亲属"),
        Outcome.NOT_MET: ("is not supported", "不属于供养亲属"),
        Outcome.UNCLEAR: ("needs a person's decision", "需人工认定"),
    }[verdict.outcome]
    last = verdict.last_month
    until = f", until {last}" if last else ""
    until_zh = f", 至 {last} 止" if last else ""
    return Qualification(
        verdict.outcome,
        last,
        condition(
            rules.DEPENDANT,
            verdict.outcome,
            f"{survivor.survivor_id} ({survivor.relation.name.lower()}) {said}: {verdict.why}"
            f"{until}.",
            f"{survivor.survivor_id} {said_zh}: {verdict.why_zh}{until_zh}。",
            inputs={
                "survivor": survivor.survivor_id,
                "relation": survivor.relation,
                "birth_date": survivor.birth_date,
                "death_date": death,
                "totally_disabled": survivor.totally_disabled,
                "supported": survivor.supported,
                "support_document": survivor.support_document.hex(),
                "nearer_kin": survivor.nearer_kin,
            },
            outputs={"last_month": last},
            values=(ages,),
        ),
    )
