"""A local rate that a province has not entered is said to be another's."""

from __future__ import annotations

from datetime import date

import pytest

from services.benefits.domain.expenses import Expense, reimbursement
from services.benefits.domain.kinds import BenefitKind
from services.benefits.domain.law import LAW
from services.kernel.money import Fen

DAY = date(2025, 7, 20)


@pytest.mark.parametrize(
    "expense",
    [
        Expense(BenefitKind.HOSPITAL_MEALS, DAY, day_count=3),
        Expense(BenefitKind.TRAVEL, DAY, Fen(50_000), day_count=3),
        Expense(BenefitKind.ASSISTIVE_DEVICE, DAY, Fen(50_000), device="wheelchair"),
    ],
    ids=lambda expense: expense.kind.name,
)
def test_a_rate_of_the_whole_country_is_named_as_a_stand_in(expense: Expense) -> None:
    (finding, *_) = reimbursement(LAW, expense, DAY, "440100").findings

    assert "a figure for the whole country, because the area's own is not entered" in finding.text
    assert "本地区标准尚未录入" in finding.text_zh


def test_a_rate_of_the_area_stands_for_itself() -> None:
    meals = Expense(BenefitKind.HOSPITAL_MEALS, DAY, day_count=3)

    (finding,) = reimbursement(LAW, meals, DAY, "440300").findings

    assert "whole country" not in finding.text
