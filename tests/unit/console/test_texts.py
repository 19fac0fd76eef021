"""Every word of a page is in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.console.pages import all_pages
from services.console.rendering import FOLDER
from services.console.texts import count_of, language_of, title_of
from services.console.views.records import resources
from services.kernel.phrases import Language

TEMPLATES = sorted(FOLDER.glob("*.html"))
_CODE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_TAG = re.compile(r"<[^>]*>", re.DOTALL)
_WORD = re.compile(r"[A-Za-z\u4e00-\u9fff]{2,}")
# Names that are the same in both languages.
NAMES = {"CSV", "XLSX", "SHA", "English", "中文", "DOCTYPE", "html"}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_word_of_a_template_is_in_one_language_alone(template: Path) -> None:
    text = _TAG.sub(" ", _CODE.sub(" ", template.read_text(encoding="utf-8")))

    assert set(_WORD.findall(text)) - NAMES == set()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_is_one_idea_and_runs_no_script(template: Path) -> None:
    text = template.read_text(encoding="utf-8")

    assert len(text.splitlines()) <= 400
    assert "<script" not in text
    assert "|safe" not in text.replace(" ", "")
    assert not re.search(r"\son\w+=|\sstyle=", text)


def test_counts_read_well_with_nothing_one_and_many() -> None:
    english = [count_of(n, "claim", "claims", "件申请", Language.EN) for n in (0, 1, 2, 1000)]
    chinese = [count_of(n, "claim", "claims", "件申请", Language.ZH) for n in (0, 1, 1000)]

    assert english == ["0 claims", "1 claim", "2 claims", "1,000 claims"]
    assert chinese == ["0 件申请", "1 件申请", "1,000 件申请"]


def test_chinese_is_the_default() -> None:
    assert language_of(None) is language_of("fr") is Language.ZH
    assert title_of("premium_fen", Language.EN) == "Premium (yuan)"


def test_every_address_is_that_of_one_page() -> None:
    paths = [page.path for page in all_pages()]

    assert sorted(set(paths)) == sorted(paths)


def test_every_kind_of_record_is_named_in_both_languages() -> None:
    unnamed = [key for key, kind in resources().items() if kind.title[0] == kind.title[1]]

    assert unnamed == []
