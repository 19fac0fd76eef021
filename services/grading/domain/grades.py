"""Disability grades (伤残等级): items of the standard, earlier impairments, several injuries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from services.grading.domain.law import OLD_IMPAIRMENT, SEVERAL_INJURIES, STANDARD
from services.grading.domain.problems import ImpairmentContradicts, UnknownItem
from services.kernel.law import Finding, Outcome, ParameterVersion, Provision, Tag, facts
from services.kernel.lawbook import Law
from services.kernel.scheme import AppraisalLevel

NO_GRADE = 0
WORST, BEST = 1, 10


@dataclass(frozen=True)
class Impairment:
    """One item of the standard that a specialist names in an opinion.

    `measure` is the measured value, a decimal, where the item is a ladder. `grade_of_injury_alone`
    is the grade without the earlier impairment, where one existed and was not made worse.
    """

    item: str
    pre_existing: bool = False
    worsened: bool = False
    grade_of_injury_alone: int = NO_GRADE
    measure: str = ""


@dataclass(frozen=True)
class ExplainedGrade:
    """A grade, 1 (worst) to 10 or 0 for none, with the findings that lead to it.

    `heals` are the kinds of injury by which healing time is counted, as in deferral_months.
    """

    grade: int
    findings: tuple[Finding, ...]
    heals: frozenset[str] = frozenset()


def severity(grade: int) -> int:
    """A grade on a scale where more is worse: 10 for grade 1, 0 for no grade."""
    return 0 if grade == NO_GRADE else BEST + 1 - grade


def grade_of(
    impairments: Sequence[Impairment], level: AppraisalLevel, law: Law, day: date
) -> ExplainedGrade:
    """The grade of all impairments of one person together.

    Raises UnknownItem and ImpairmentContradicts, each with the field that is wrong.
    """
    singles = [
        _single_grade(impairment, level, law, day, f"opinion.impairments[{index}]")
        for index, impairment in enumerate(impairments)
    ]
    together = combine([single.grade for single in singles], law, day)
    findings = [finding for single in singles for finding in single.findings]
    heals = frozenset().union(*(single.heals for single in singles))
    return ExplainedGrade(together.grade, (*findings, *together.findings), heals)


def combine(grades: Sequence[int], law: Law, day: date) -> ExplainedGrade:
    """Several injuries: the worst grade counts; two or more at the worst raise it by one.

    GB/T 16180-2014, rule of promotion (晋级原则); never above grade 1. 8 + 9 + 9 stays 8.
    """
    value = law.on("several_injuries", day)
    needed, up, best = (int(value.at(key)) for key in ("alike", "up", "best"))
    counted = [grade for grade in grades if grade != NO_GRADE]
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
    return ExplainedGrade(promoted, (finding,))


def _single_grade(
    impairment: Impairment, level: AppraisalLevel, law: Law, day: date, field: str
) -> ExplainedGrade:
    _require_consistent(impairment, field)
    actual = _grade_of_item(impairment, law, day, field)
    if not impairment.pre_existing:
        return actual
    if level is AppraisalLevel.REVIEW:
        text = f"{impairment.item}: the rule on earlier impairments is not used in a review."
        text_zh = f"{impairment.item}: 复查鉴定不适用原有伤残规则。"
        kept, outcome = actual.grade, Outcome.NOT_MET
    elif impairment.worsened:
        text = (
            f"{impairment.item}: the injury made an earlier impairment worse, so the actual "
            f"result counts: grade {actual.grade}."
        )
        text_zh = f"{impairment.item}: 本次伤害加重原有伤残, 按实际结果评定为 {actual.grade} 级。"
        kept, outcome = actual.grade, Outcome.MET
    else:
        alone = impairment.grade_of_injury_alone
        if severity(alone) > severity(actual.grade):
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
        inputs=facts(item=impairment.item, actual_grade=actual.grade, worsened=impairment.worsened),
        outputs=facts(grade=kept),
    )
    return replace(actual, grade=kept, findings=(*actual.findings, finding))


def _require_consistent(impairment: Impairment, field: str) -> None:
    """Refuse an impairment whose fields contradict each other; raises ImpairmentContradicts."""
    what = ""
    if not NO_GRADE <= impairment.grade_of_injury_alone <= BEST:
        what = "the grade of the injury alone is 1 to 10, or 0 for none"
    elif not impairment.pre_existing and (impairment.worsened or impairment.grade_of_injury_alone):
        what = "only an impairment that existed before can be worsened or have a grade without it"
    elif impairment.worsened and impairment.grade_of_injury_alone:
        what = "a worsened impairment is graded by the result; leave out the grade without it"
    if what:
        raise ImpairmentContradicts(field=field, item=impairment.item, what=what)


def _grade_of_item(impairment: Impairment, law: Law, day: date, field: str) -> ExplainedGrade:
    ladder = law.table("grading_ladders", day).get(impairment.item)
    if ladder is not None:
        return _grade_on_ladder(impairment, ladder, law, day, field)
    item = law.table("grading_items", day).get(impairment.item)
    if item is None:
        raise UnknownItem(field=f"{field}.item", item=impairment.item)
    if impairment.measure:
        raise ImpairmentContradicts(
            field=f"{field}.measure",
            item=impairment.item,
            what="the item has no measured value; leave it out",
        )
    grade = int(item["grade"])
    finding = Finding(
        Provision(STANDARD, item["clause"], Tag.LAW),
        Outcome.MET,
        f"{impairment.item}, {item['text']}: grade {grade}.",
        f"{impairment.item} {item['text_zh']}: {grade} 级。",
        inputs=facts(item=impairment.item),
        outputs=facts(grade=grade),
        parameters=(_version(law, day, "grading_items", f"{impairment.item} {grade}"),),
    )
    return ExplainedGrade(grade, (finding,), _heals(item))


def _grade_on_ladder(
    impairment: Impairment, ladder: Mapping[str, Any], law: Law, day: date, field: str
) -> ExplainedGrade:
    measure = _measure(impairment, ladder, field)
    at_least = ladder["rule"] == "at_least"
    reached = [
        int(key.removeprefix("grade_"))
        for key, step in ladder["steps"].items()
        if (measure >= Decimal(step) if at_least else measure <= Decimal(step))
    ]
    grade = min(reached, default=NO_GRADE)
    finding = Finding(
        Provision(STANDARD, f"5.{grade}" if grade else "5", Tag.LAW),
        Outcome.MET if grade else Outcome.NOT_MET,
        f"{impairment.item} {measure} ({ladder['text']}): {_named(grade)}.",
        f"{impairment.item} {measure} ({ladder['text_zh']}): {_named_zh(grade)}。",
        inputs=facts(item=impairment.item, measure=measure),
        outputs=facts(grade=grade),
        parameters=(_version(law, day, "grading_ladders", _steps(impairment.item, ladder)),),
    )
    return ExplainedGrade(grade, (finding,), _heals(ladder))


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
            what=f"write the measured value, from {ladder['low']} to {ladder['high']}",
        )
    return measure


def _version(law: Law, day: date, name: str, value: str) -> ParameterVersion:
    """The version of one row of a table, not of the whole table."""
    return replace(law.on(name, day).version, value=value)


def _steps(item: str, ladder: Mapping[str, Any]) -> str:
    return f"{item} " + ", ".join(f"{key} {step}" for key, step in ladder["steps"].items())


def _heals(row: Mapping[str, Any]) -> frozenset[str]:
    return frozenset([row["heals"]] if "heals" in row else [])


def _named(grade: int) -> str:
    return f"grade {grade}" if grade else "no grade"


def _named_zh(grade: int) -> str:
    return f"{grade} 级" if grade else "未达等级"
