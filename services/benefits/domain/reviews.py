"""What a review of the grade gives, and what earlier benefits are offset against it.

One rule holds in both directions. The disability grant is that of the first grade that is reached,
paid once. The one-off sum of grades 5 and 6 and the monthly allowance of grades 1 to 4 stand for
each other, so that what was paid of the one is offset against the other: the sum of grade 5 is less
the allowance paid before (`disability.settlement_after_review`), and the allowance of grade 4 less
the sum paid before (`allowance_after_review`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from services.benefits.domain import law as rules
from services.benefits.domain.findings import calculation, condition, percent
from services.benefits.domain.segments import Segment, less
from services.kernel.law import Finding, Outcome
from services.kernel.lawbook import Law
from services.kernel.money import Fen
from services.kernel.periods import Month


def grant_over_reviews(grades: Sequence[int]) -> tuple[int, tuple[Finding, ...]]:
    """The place of the grade whose grant is paid, and what reviews change about it.

    That is the first grade reached; a further grade gives no further grant and takes none back.
    """
    place = next((index for index, grade in enumerate(grades) if grade), 0)
    if place:
        return place, (
            condition(
                rules.REVIEW,
                Outcome.MET,
                f"The review is the first to reach a grade, {grades[place]}: its grant is due, "
                "and nothing is offset against it.",
                f"复查鉴定首次达到伤残等级 ({grades[place]} 级), "
                "应支付该等级的一次性伤残补助金, 无可抵扣。",
                inputs={"grades": ", ".join(map(str, grades))},
            ),
        )
    if len(set(grades)) > 1:
        return place, (
            condition(
                rules.REVIEW,
                Outcome.NOT_MET,
                f"The grant of grade {grades[0]} is paid once; after the review to grade "
                f"{grades[-1]} no further grant is due, and none is taken back.",
                f"{grades[0]} 级一次性伤残补助金只付一次; "
                f"复查为 {grades[-1]} 级后不再支付, 也不追回。",
                inputs={"grades": ", ".join(map(str, grades))},
            ),
        )
    return place, ()


def allowance_after_review(
    law: Law,
    segments: tuple[Segment, ...],
    settlement: Fen,
    *,
    since: Month,
    day: date,
    where: str,
) -> tuple[tuple[Segment, ...], tuple[Finding, ...]]:
    """The allowance when a review raises grade 5 or 6 to 1-4.

    By default the one-off sum already paid is offset against the allowance from the month `since`,
    at most the share of a set-off each month (parameters `review_settlement`, `set_off_share`).
    """
    rule = law.on("review_settlement", day, where)
    if rule.value != "offset":
        return segments, ()
    cap = law.on("set_off_share", day, where)
    finding = calculation(
        rules.REVIEW,
        f"From {since} the one-off sum of {settlement.yuan} yuan paid before the review is offset "
        f"against the allowance, at most {percent(cap.decimal)} of each month.",
        f"自 {since} 起, 复查前已支付的一次性待遇 {settlement.yuan} 元从伤残津贴中抵扣, "
        f"每月不超过 {percent(cap.decimal)}。",
        f"min(left of {settlement}, allowance x {cap.value}) each month",
        inputs={"settlement": settlement, "first_month": since},
        outputs={"to_offset": settlement},
        values=(rule, cap),
    )
    return less(segments, settlement, since, cap.decimal, "less the one-off sum"), (finding,)
