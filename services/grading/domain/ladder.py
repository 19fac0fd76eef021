"""From what a specialist found to a grade: the ladder, old impairments, several injuries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from services.grading.domain.appraisal import (
    BEST,
    NO_GRADE,
    Impairment,
    ImpairmentContradicts,
    Level,
    UnknownItem,
    listed,
    severity,
)
from services.grading.domain.law import OLD_IMPAIRMENT, SEVERAL_INJURIES, STANDARD, Law
from services.kernel.law import Finding, Outcome, ParameterVersion, Provision, Tag, facts


@dataclass(frozen=True)
class Graded:
    """A grade with the findings that lead to it; 0 is no grade."""

    grade: int
    findings: tuple[Finding, ...]
    heals: frozenset[str] = frozenset()


def grade(impairments: Sequence[Impairment], level: Level, law: Law) -> Graded:
    """The grade of all impairments of one person together.

    Raises UnknownItem and ImpairmentContradicts, each with the field that is wrong.
    """
    singles = [
        _grade_of_one(impairment, level, law, f"opinion.impairments[{index}]")
        for index, impairment in enumerate(impairments)
    ]
    together = combine([single.grade for single in singles], law)
    findings = [finding for single in singles for finding in single.findings]
    heals = frozenset().union(*(single.heals for single in singles))
    return Graded(together.grade, (*findings, *together.findings), heals)


def combine(grades: Sequence[int], law: Law) -> Graded:
    """Several injuries: the worst counts, and two or more at the worst raise it by one at most.

    GB/T 16180-2014, rule of promotion (晋级原则); never above grade 1. 8 + 9 + 9 stays 8.
    """
    value = law.value("several_injuries")
    needed, up, best = (int(value.at(key)) for key in ("alike", "up", "best"))
    counted = [found for found in grades if found != NO_GRADE]
    worst = min(counted, default=NO_GRADE)
    alike = counted.count(worst)
    promoted = worst
    if counted and alike >= needed:
        promoted = max(best, worst - up)
    written = " + ".join(map(str, counted)) or "-"
    if not counted:
        text = "No item reaches a grade, so there is no grade."
        text_zh = "各项均未达到等级, 不评定伤残等级。"
        outcome = Outcome.NOT_MET
    elif promoted != worst:
        text = f"{alike} injuries share the worst grade {worst}, which makes it grade {promoted}."
        text_zh = f"{alike} 处伤残同为最重的 {worst} 级, 晋升为 {promoted} 级。"
        outcome = Outcome.MET
    else:
        text = f"The worst grade counts: grade {worst}."
        text_zh = f"以最重者定级: {worst} 级。"
        outcome = Outcome.CALCULATED
    finding = Finding(
        SEVERAL_INJURIES,
        outcome,
        text,
        text_zh,
        inputs=facts(grades=written),
        outputs=facts(grade=promoted),
        parameters=(value.version,),
        arithmetic=f"{written} -> {promoted}",
    )
    return Graded(promoted, (finding,))


def _grade_of_one(impairment: Impairment, level: Level, law: Law, field: str) -> Graded:
    _check(impairment, field)
    found = _grade_of_item(impairment, law, field)
    if not impairment.pre_existing:
        return found
    if level is Level.REVIEW:
        text = f"{impairment.item}: the rule on earlier impairments is not used in a review."
        text_zh = f"{impairment.item}: 复查鉴定不适用原有伤残规则。"
        kept, outcome = found.grade, Outcome.NOT_MET
    elif impairment.worsened:
        text = (
            f"{impairment.item}: the injury made an earlier impairment worse, so the actual "
            f"result counts: grade {found.grade}."
        )
        text_zh = f"{impairment.item}: 本次伤害加重原有伤残, 按实际结果评定为 {found.grade} 级。"
        kept, outcome = found.grade, Outcome.MET
    else:
        alone = impairment.grade_of_injury_alone
        if severity(alone) > severity(found.grade):
            raise ImpairmentContradicts(
                field=field,
                item=impairment.item,
                what="the injury alone cannot be worse than the actual result; correct the grade",
            )
        text = (
            f"{impairment.item}: the impairment existed before and was not made worse, so this "
            f"injury alone counts: {_named(alone)}."
        )
        text_zh = f"{impairment.item}: 原有伤残未加重, 仅按本次伤害评定: {_named_zh(alone)}。"
        kept, outcome = alone, Outcome.MET
    finding = Finding(
        OLD_IMPAIRMENT,
        outcome,
        text,
        text_zh,
        inputs=facts(item=impairment.item, actual_grade=found.grade, worsened=impairment.worsened),
        outputs=facts(grade=kept),
    )
    return replace(found, grade=kept, findings=(*found.findings, finding))


def _check(impairment: Impairment, field: str) -> None:
    """Refuse what does not fit together, whatever the item is."""
    what = ""
    if not NO_GRADE <= impairment.grade_of_injury_alone <= BEST:
        what = "the grade of the injury alone is 1 to 10, or 0 for none"
    elif not impairment.pre_existing and (impairment.worsened or impairment.grade_of_injury_alone):
        what = "only an impairment that existed before can be worsened or have a grade without it"
    elif impairment.worsened and impairment.grade_of_injury_alone:
        what = "a worsened impairment is graded by the result; leave out the grade without it"
    if what:
        raise ImpairmentContradicts(field=field, item=impairment.item, what=what)


def _grade_of_item(impairment: Impairment, law: Law, field: str) -> Graded:
    ladder = law.table("grading_ladders").get(impairment.item)
    if ladder is not None:
        return _grade_on_ladder(impairment, ladder, law, field)
    item = law.table("grading_items").get(impairment.item)
    if item is None:
        raise UnknownItem(field=f"{field}.item", item=impairment.item)
    if impairment.measure:
        raise ImpairmentContradicts(
            field=f"{field}.measure",
            item=impairment.item,
            what="the item has no measured value; leave it out",
        )
    found = int(item["grade"])
    finding = Finding(
        Provision(STANDARD, item["clause"], Tag.LAW),
        Outcome.MET,
        f"{impairment.item}, {item['text']}: grade {found}.",
        f"{impairment.item} {item['text_zh']}: {found} 级。",
        inputs=facts(item=impairment.item),
        outputs=facts(grade=found),
        parameters=(_version(law, "grading_items", f"{impairment.item} {found}"),),
    )
    return Graded(found, (finding,), _heals(item))


def _grade_on_ladder(
    impairment: Impairment, ladder: Mapping[str, Any], law: Law, field: str
) -> Graded:
    measure = _measure(impairment, ladder, field)
    at_least = ladder["rule"] == "at_least"
    reached = [
        int(key.removeprefix("grade_"))
        for key, step in ladder["steps"].items()
        if (measure >= Decimal(step) if at_least else measure <= Decimal(step))
    ]
    found = min(reached, default=NO_GRADE)
    finding = Finding(
        Provision(STANDARD, f"5.{found}" if found else "5", Tag.LAW),
        Outcome.MET if found else Outcome.NOT_MET,
        f"{impairment.item} {measure} ({ladder['text']}): {_named(found)}.",
        f"{impairment.item} {measure} ({ladder['text_zh']}): {_named_zh(found)}。",
        inputs=facts(item=impairment.item, measure=measure),
        outputs=facts(grade=found),
        parameters=(_version(law, "grading_ladders", _steps(impairment.item, ladder)),),
    )
    return Graded(found, (finding,), _heals(ladder))


def _measure(impairment: Impairment, ladder: Mapping[str, Any], field: str) -> Decimal:
    try:
        measure = Decimal(impairment.measure)
        inside = Decimal(ladder["low"]) <= measure <= Decimal(ladder["high"])
    except InvalidOperation:
        inside = False
    if not inside:
        raise ImpairmentContradicts(
            field=f"{field}.measure",
            item=impairment.item,
            what=f"give the measured value from {ladder['low']} to {ladder['high']}",
        )
    return measure


def _version(law: Law, name: str, value: str) -> ParameterVersion:
    """The version of one row of a table, not of the whole table."""
    return replace(law.value(name).version, value=value)


def _steps(item: str, ladder: Mapping[str, Any]) -> str:
    return f"{item} " + listed(f"{key} {step}" for key, step in ladder["steps"].items())


def _heals(row: Mapping[str, Any]) -> frozenset[str]:
    return frozenset([row["heals"]] if "heals" in row else [])


def _named(grade_: int) -> str:
    return f"grade {grade_}" if grade_ else "no grade"


def _named_zh(grade_: int) -> str:
    return f"{grade_} 级" if grade_ else "未达等级"
