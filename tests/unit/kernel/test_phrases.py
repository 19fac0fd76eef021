"""Sentences with facts: words fit into Chinese sentences, and values stay as they are."""

from __future__ import annotations

import pytest

from services.kernel.phrases import FieldPath, Language, Phrase, fill, metadata
from services.kernel.scheme import Industry

WORD = Phrase("WAGE", "the wage", "工资")


@pytest.mark.parametrize(
    ("template", "fact", "text"),
    [
        ("缺少 {fact}; 请填写。", WORD, "缺少工资; 请填写。"),
        ("{fact} 有误。", WORD, "工资有误。"),
        ("{fact} 和 {fact} 不符。", WORD, "工资和工资不符。"),
        ("{fact} {fact}", WORD, "工资工资"),
        ("请从 {fact} 中选择。", (WORD, Industry.RIDE_HAILING), "请从工资、出行中选择。"),
        ("{fact} 不在范围内。", FieldPath("rows[2].worker"), "行第 3 项的人员不在范围内。"),
        ("{fact} 不在范围内。", FieldPath("x_y"), "x_y 不在范围内。"),
        # A value is no word: its blanks and those around it stay.
        ("文件 {fact} 无法读取。", "订单 一月.csv", "文件 订单 一月.csv 无法读取。"),
        ("缺少列 {fact} 。", "骑手 编号", "缺少列 骑手 编号 。"),
        ("文件 {fact} 中", "{fact} {0}", "文件 {fact} {0} 中"),
    ],
)
def test_words_join_a_chinese_sentence_and_values_stay_whole(
    template: str, fact: object, text: str
) -> None:
    assert fill(template, {"fact": fact}, Language.ZH) == text


def test_english_keeps_its_blanks() -> None:
    assert fill("Give {fact} and {fact}.", {"fact": WORD}, Language.EN) == (
        "Give the wage and the wage."
    )


def test_programs_read_codes_also_those_within_a_phrase() -> None:
    what = Phrase.of("NOT_ONE_OF", "not one of {few}", "不是 {few} 之一", few=(WORD, 3))

    assert metadata({"what": what, "day": "2025-07-01"}) == {
        "what": "NOT_ONE_OF",
        "few": "WAGE, 3",
        "day": "2025-07-01",
    }
