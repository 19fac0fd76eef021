"""What can be wrong with a row or a file: codes, sentences in two languages, their page."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from services.client.files.faults import FileFault, RowFault, Unreadable, file_phrases

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "orders-files.md").read_text("utf-8")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
# Words that stay as they are in a Chinese sentence: keys of the mapping, names of formats.
KEPT = re.compile(r"\[[\w.]+\]|`[^`]*`|\"[^\"]*\"|'[^']*'|\{\w+\}|[a-z]+ = \S+")
NAMES = {"JSON", "UTF", "UTC", "MiB", "position", "format", "date", "time", "pip", "install"}


@pytest.mark.parametrize("fault", RowFault)
def test_a_fault_of_a_row_has_two_sentences_and_stands_on_the_page(fault: RowFault) -> None:
    english, chinese = fault.sentence("worker", "'42'"), fault.sentence_zh("worker", "'42'")

    assert english.endswith(".")
    assert not CHINESE.search(english)
    assert chinese.endswith("。")
    assert f"`{fault.name}`" in PAGE


@pytest.mark.parametrize("fault", FileFault)
def test_a_fault_of_a_file_has_two_phrases_with_the_same_facts(fault: FileFault) -> None:
    english, chinese = file_phrases(fault)
    facts = {name.removesuffix("_zh") for name in names_in(chinese)}

    assert CHINESE.search(chinese)
    assert not CHINESE.search(english)
    assert {name for name in names_in(english) if name != "known" or "known" in facts} == facts


@pytest.mark.parametrize("fault", [*RowFault, *FileFault])
def test_no_chinese_phrase_has_an_english_word(fault: RowFault | FileFault) -> None:
    chinese = (
        fault.sentence_zh("worker", "'42'").replace("worker", "")
        if isinstance(fault, RowFault)
        else file_phrases(fault)[1]
    )

    words = set(re.findall(r"[A-Za-z]{2,}", KEPT.sub("", chinese)))
    assert words <= NAMES | {"oip", "orders", "check", "gb", "gbk", "big", "utf", "windows"}


def test_a_refusal_keeps_its_code_and_both_phrases() -> None:
    refusal = Unreadable(FileFault.NO_HEADER, line=7)

    assert refusal.reason.fault == "NO_HEADER"
    assert refusal.reason.what == "it ends before line 7, where the mapping says the header is"
    assert "第 7 行" in refusal.reason.what_zh


def names_in(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}
