"""The arithmetic of findings in Chinese."""

from __future__ import annotations

import pytest

from services.kernel.arithmetic_words import in_chinese


@pytest.mark.parametrize(
    ("arithmetic", "chinese"),
    [
        ("500000 fen x 27 = 13500000 fen", "500000 分 x 27 = 13500000 分"),
        ("66 x 0.07 = 4.62 yuan, rounded half up to 4.62", "66 x 0.07 = 4.62 元, 四舍五入为 4.62"),
        ("2025-07-01 + 4 years = 2029-07-01", "2025-07-01 + 4 年 = 2029-07-01"),
        ("due - paid = 3 fen", "应付 - 已付 = 3 分"),
        # A word within another one is not it.
        ("prepaid_share x 3", "prepaid_share x 3"),
    ],
)
def test_words_are_chinese_and_numbers_stay(arithmetic: str, chinese: str) -> None:
    assert in_chinese(arithmetic) == chinese
