"""Disability grades (伤残等级): items of the standard, earlier impairments, several injuries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from services.grading.domain.families import Family
from services.grading.domain.law import OLD_IMPAIRMENT, SEVERAL_INJURIES, STANDARD
from services.grading.domain.problems import ImpairmentContradicts, UnknownFamily, UnknownItem
from services.grading.domain.standard import Standard, standard_on
from services.kernel.law import Finding, Outcome, Provision, Tag, facts
from services.kernel.lawbook import Law
from services.kernel.parameters import Value
from services.kernel.phrases import Phrase
from services.kernel.scheme import AppraisalLevel

NO_GRADE = 0
WORST, BEST = 1, 10
CHAPTER = "5"  # of the standard, where no item of it applies


@dataclass(frozen=True)
class Impairment:
    """What a specialist states in an opinion: an item of the standard, or measured findings.

    `item` is the item's number, such as `6.14`; or `family` is a family of items, and
    `measurements` are names and values. `grade_of_injury_alone` is the grade without the earlier
    impairment, where one existed and was not made worse.
    """

    item: str = ""
    pre_existing: bool = False
    worsened: bool = False
    grade_of_injury_alone: int = NO_GRADE
    family: str = ""
    measurements: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The item's number, or the family's code."""
        return self.item or self.family


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

    Raises UnknownItem, UnknownFamily, MeasurementWrong and ImpairmentContradicts, each with the
    field that is wrong.
    """
    _require_single_families(impairments, law, day)
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
    actual = _actual_grade(impairment, law, day, field)
    if not impairment.pre_existing:
        return actual
    if level is AppraisalLevel.REVIEW:
        text = f"{impairment.name}: the rule on earlier impairments is not used in a review."
        text_zh = f"{impairment.name}: 复查鉴定不适用原有伤残规则。"
        kept, outcome = actual.grade, Outcome.NOT_MET
    elif impairment.worsened:
        text = (
            f"{impairment.name}: the injury made an earlier impairment worse, so the actual "
            f"result counts: grade {actual.grade}."
        )
        text_zh = f"{impairment.name}: 本次伤害加重原有伤残, 按实际结果评定为 {actual.grade} 级。"
        kept, outcome = actual.grade, Outcome.MET
    else:
        alone = impairment.grade_of_injury_alone
        if severity(alone) > severity(actual.grade):
            raise ImpairmentContradicts(
                field=field,
                item=impairment.name,
                what=Phrase(
                    "ALONE_IS_WORSE",
                    "the injury alone cannot be worse than the actual result; correct the grade",
                    "仅本次伤害的等级不得重于实际结果; 请更正等级",
                ),
            )
        text = (
            f"{impairment.name}: the impairment existed before and was not made worse, so this "
            f"injury alone counts: {_named(alone)}."
        )
        text_zh = f"{impairment.name}: 原有伤残未加重, 仅按本次伤害评定: {_named_zh(alone)}。"
        kept, outcome = alone, Outcome.MET
    finding = Finding(
        OLD_IMPAIRMENT,
        outcome,
        text,
        text_zh,
        inputs=facts(item=impairment.name, actual_grade=actual.grade, worsened=impairment.worsened),
        outputs=facts(grade=kept),
    )
    return replace(actual, grade=kept, findings=(*actual.findings, finding))


def _require_single_families(impairments: Sequence[Impairment], law: Law, day: date) -> None:
    """Refuse the same findings measured twice, which would raise the grade."""
    families = standard_on(law, day)[0].families
    counts = Counter(impairment.family for impairment in impairments if impairment.family)
    for code, count in counts.items():
        if count > 1 and code in families and not families[code].repeatable:
            raise ImpairmentContradicts(
                field="opinion.impairments",
                item=code,
                what=Phrase(
                    "MEASURED_TWICE",
                    "a person is measured once; send all measurements in one impairment",
                    "同一人只测量一次; 请将全部测量值写在一项中",
                ),
            )


def _require_consistent(impairment: Impairment, field: str) -> None:
    """Refuse an impairment whose fields contradict each other; raises ImpairmentContradicts."""
    alone, family = impairment.grade_of_injury_alone, impairment.family
    contradictions = (
        (
            not NO_GRADE <= alone <= BEST,
            "NO_GRADE",
            "the grade of the injury alone is 1 to 10, or 0 for none",
            "仅本次伤害的等级为 1 至 10, 无则为 0",
        ),
        (
            not impairment.pre_existing and (impairment.worsened or alone),
            "NOT_PRE_EXISTING",
            "only an impairment that existed before can be worsened or have a grade without it",
            "仅原有伤残可以加重或另有本次等级",
        ),
        (
            impairment.worsened and alone,
            "WORSENED_AND_ALONE",
            "a worsened impairment is graded by the result; leave out the grade without it",
            "加重的原有伤残按实际结果评定; 请勿填写本次等级",
        ),
        (
            impairment.item and family,
            "ITEM_AND_FAMILY",
            "name an item, or a family with its measurements, not both",
            "请填写条目, 或测量类别及测量值, 不得同时填写",
        ),
        (
            impairment.measurements and not family,
            "MEASUREMENTS_OF_NO_FAMILY",
            "measurements belong to a family; name it in place of the item",
            "测量值属于测量类别; 请以类别代替条目",
        ),
    )
    for contradicts, case, text, text_zh in contradictions:
        if contradicts:
            what = Phrase(case, text, text_zh)
            raise ImpairmentContradicts(field=field, item=impairment.name, what=what)


def _actual_grade(impairment: Impairment, law: Law, day: date, field: str) -> ExplainedGrade:
    standard, value = standard_on(law, day)
    if impairment.family:
        family = standard.families.get(impairment.family)
        if family is None:
            raise UnknownFamily(
                field=f"{field}.family",
                family=impairment.family,
                families=tuple(family.label for family in standard.families.values()),
            )
        return _grade_in_family(impairment, family, standard, value, field)
    item = standard.items.get(impairment.item)
    if item is None:
        raise UnknownItem(field=f"{field}.item", item=impairment.item)
    finding = Finding(
        Provision(STANDARD, item.clause, Tag.LAW),
        Outcome.MET,
        f"Item {item.number}, {item.label}: grade {item.grade}.",
        f"条目 {item.number} {item.label_zh}: {item.grade} 级。",
        inputs=facts(item=item.number),
        outputs=facts(grade=item.grade),
        parameters=(replace(value.version, value=f"{value.value}, item {item.number}"),),
    )
    return ExplainedGrade(item.grade, (finding,), item.heals)


def _grade_in_family(
    impairment: Impairment, family: Family, standard: Standard, value: Value, field: str
) -> ExplainedGrade:
    """The grade by measured findings; the finding names the conditions that decide."""
    verdict = family.decide(family.readings(impairment.measurements, field))
    measured = ", ".join(f"{name} {text}" for name, text in impairment.measurements)
    step = verdict.step
    lacking, lacking_zh = family.condition_labels(verdict.lacking)
    worse = verdict.worse.item if verdict.worse else ""
    text, text_zh = f"{family.en}, {measured}: no grade", f"{family.zh} {measured}: 未达等级"
    if step is not None:
        label, label_zh = family.step_labels(step)
        text = f"{family.en}, {measured}: item {step.item} applies ({label}), grade {step.grade}"
        text_zh = f"{family.zh} {measured}: 适用条目 {step.item} ({label_zh}), {step.grade} 级"
        if step.assumed:
            text += f" (assumed: {step.assumed})"
            text_zh += f" (假定: {step.assumed_zh})"
    if worse:
        text += f"; item {worse} does not apply, because this is missing: {lacking}"
        text_zh += f"; 不适用条目 {worse}, 因缺少: {lacking_zh}"
    clause = standard.items[step.item].clause if step is not None else CHAPTER
    finding = Finding(
        Provision(STANDARD, clause, Tag.ASSUMED if step is not None and step.assumed else Tag.LAW),
        Outcome.NOT_MET if step is None else Outcome.MET,
        f"{text[0].upper()}{text[1:]}.",
        f"{text_zh}。",
        inputs=facts(family=family.code, measurements=measured),
        outputs=facts(
            grade=step.grade if step is not None else NO_GRADE,
            item=step.item if step is not None else "none",
            not_applied=worse or "none",
        ),
        parameters=(replace(value.version, value=f"{value.value}, {family.code}"),),
    )
    heals = frozenset([family.heals] if family.heals else [])
    return ExplainedGrade(step.grade if step is not None else NO_GRADE, (finding,), heals)


def _named(grade: int) -> str:
    return f"grade {grade}" if grade else "no grade"


def _named_zh(grade: int) -> str:
    return f"{grade} 级" if grade else "未达等级"
