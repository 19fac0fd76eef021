"""The standard as data: whole, in words of its own, readable, and refused where it is faulty."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.grading.domain import standard
from services.grading.domain.grades import Impairment, grade_of
from services.grading.domain.items import search
from services.grading.domain.law import LAW
from services.grading.domain.problems import MeasurementWrong
from services.grading.domain.standard import FOLDER, StandardFaulty, standard_on
from services.kernel.phrases import Language
from services.kernel.scheme import AppraisalLevel

DAY = date(2025, 9, 1)
STANDARD, _ = standard_on(LAW, DAY)
DATA = FOLDER / "gb_t_16180_2014"
# The text of the standard lies outside the tree.
TEXT = Path(__file__).parents[3].parent / "shared" / "data" / "gb16180-items.tsv"
COUNTS = {1: 23, 2: 39, 3: 47, 4: 55, 5: 65, 6: 76, 7: 63, 8: 74, 9: 42, 10: 46}
NUMBER = re.compile(r"\d+(?:\.\d+)?")
# A shorter text is the name of an injury, which has no other words.
SENTENCE_LENGTH = 16


def texts() -> dict[str, str]:
    """The items of the text by number; skips the test where the text is absent."""
    if not TEXT.is_file():
        pytest.skip(f"the text of the standard is absent: {TEXT.name}")
    lines = TEXT.read_text(encoding="utf-8").splitlines()
    return {number: text for number, _, text in (line.partition("\t") for line in lines)}


def test_the_standard_has_its_530_items() -> None:
    assert Counter(item.grade for item in STANDARD.items.values()) == COUNTS
    assert list(STANDARD.items) == [
        f"{grade}.{number}" for grade, count in COUNTS.items() for number in range(1, count + 1)
    ]


def test_the_numbers_are_those_of_the_text() -> None:
    assert list(STANDARD.items) == list(texts())


def test_a_label_has_every_number_and_threshold_of_its_item() -> None:
    missing = {
        number: lacking
        for number, text in texts().items()
        if (lacking := set(NUMBER.findall(text)) - set(NUMBER.findall(_label_zh(number))))
    }

    assert missing == {}


def test_a_label_compares_as_its_item_does() -> None:
    """Each `≥ 40` and `<1/2` of the text stands in the label with the same sign."""
    sign = re.compile(r"([≥≤<>])(\d+(?:\.\d+)?(?:/\d+)?)")
    differing = {
        number: lacking
        for number, text in texts().items()
        if (lacking := set(sign.findall(text)) - set(sign.findall(_label_zh(number))))
    }

    assert differing == {}


def test_no_sentence_of_the_standard_stands_in_the_data() -> None:
    written = "\n".join(
        path.read_text(encoding="utf-8") for path in DATA.rglob("*") if path.is_file()
    )
    copied = [
        number
        for number, text in texts().items()
        if len(text) >= SENTENCE_LENGTH and (text in written or text == _label_zh(number))
    ]

    assert copied == []


@pytest.mark.parametrize("number", STANDARD.items)
def test_an_item_gives_its_grade_and_explains_itself(number: str) -> None:
    graded = grade_of([Impairment(number)], AppraisalLevel.FIRST, LAW, DAY)

    item, finding = STANDARD.items[number], graded.findings[0]
    assert graded.grade == int(number.partition(".")[0])
    assert str(finding.provision) == f"GB/T 16180-2014 {item.clause}"
    assert item.label in finding.text
    assert item.label_zh in finding.text_zh
    assert finding.text_zh.endswith(f" {graded.grade} 级。")
    assert item.regions


@pytest.mark.parametrize("code", STANDARD.families)
def test_a_family_explains_its_measures_in_both_languages(code: str) -> None:
    family = STANDARD.families[code]

    assert all(measure.en and measure.zh for measure in family.measures)
    assert all(m.form.text(language) for m in family.measures for language in Language)
    assert all(bool(step.assumed) == bool(step.assumed_zh) for step in family.steps)


def test_scars_without_limited_joints_are_grade_6_and_say_why() -> None:
    scars = Impairment(family="SCARS", measurements=(("area", "92"),))

    graded = grade_of([scars], AppraisalLevel.FIRST, LAW, DAY)

    assert graded.grade == 6
    assert graded.findings[0].text == (
        "Scars of the whole body, area 92: item 6.14 applies (scars, share of the body's surface "
        "≥ 40%), grade 6; item 1.5 does not apply, because this is missing: spine and large joints "
        "of the limbs nearly without function."
    )
    assert "不适用条目 1.5, 因缺少: 脊柱及四肢大关节基本无功能。" in graded.findings[0].text_zh


def test_a_gap_of_the_standard_is_closed_as_an_assumption() -> None:
    hands = Impairment(
        family="PARALYSIS", measurements=(("extent", "both_hands_all"), ("strength", "3"))
    )

    (finding, _) = grade_of([hands], AppraisalLevel.FIRST, LAW, DAY).findings

    assert finding.provision.tag.name == "ASSUMED"
    assert "(assumed: the standard has no item" in finding.text


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("6.14", {"6.14"}),
        ("spleen", {"7.47", "8.56"}),
        ("脾", {"7.47", "8.56"}),
        ("KNEE cruciate", {"9.22", "10.11"}),
        ("hearing", {"4.19", "5.28", "6.33", "7.32", "8.34", "9.30", "10.27"}),
        ("no-such-word", set()),
    ],
)
def test_items_are_found_by_words_of_either_language_and_by_number(
    query: str, numbers: set[str]
) -> None:
    found_numbers = {item.number for item in search(STANDARD.items.values(), query)}

    assert numbers <= found_numbers
    assert bool(found_numbers) == bool(numbers)


def test_every_item_is_found_by_its_number_region_and_kind() -> None:
    items = STANDARD.items.values()
    for item in items:
        for region in item.regions:
            assert item in search(items, item.number, region=region, kind=item.kind)


@given(st.sampled_from(sorted(STANDARD.families)), st.text(max_size=12))
def test_no_text_measured_breaks_a_family(code: str, text: str) -> None:
    family = STANDARD.families[code]
    name = next(iter(family.names))
    impairment = Impairment(family=code, measurements=((name, text),))

    try:
        graded = grade_of([impairment], AppraisalLevel.FIRST, LAW, DAY)
    except MeasurementWrong:
        return
    assert 0 <= graded.grade <= 10


@pytest.mark.parametrize("text", ["1e9", "9" * 60, "1/0", "-1", "NaN", "١", "½", "", " 5", "40%%"])
def test_a_number_that_is_not_plain_is_refused(text: str) -> None:
    scars = Impairment(family="SCARS", measurements=(("area", text),))

    with pytest.raises(MeasurementWrong):
        grade_of([scars], AppraisalLevel.FIRST, LAW, DAY)


def _replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_replace("items.csv", "7.47,,,spleen,resected,,\n", ""), "item 7.47 is missing"),
        (_replace("items.csv", "spleen,resected", "milt,resected"), "the part milt is not among"),
        (_replace("items.csv", ",>30 cm2", ",>30 inch"), "the unit inch is not among the terms"),
        (_replace("items.csv", ",>30 cm2", ",much"), "is not a measure"),
        (_replace("items.csv", "1.4,and", "1.4,"), "has no join"),
        (_replace("items.csv", "7.47,", "6.14,"), "item 6.14 stands twice"),
        (_replace("items.csv", "item,join", "item,link"), "the columns are"),
        (_replace("items.csv", "7.47,,,", "7.47,,,,"), "the row has not 7 columns"),
        (_replace("terms.csv", "part,spleen,脾,", "part,spleen,,"), "two languages"),
        (_replace("terms.csv", "part,spleen", "part,liver"), "stands twice"),
        (_replace("families/scars.toml", "area >= 40", "area >> 40"), "is not a condition"),
        (_replace("families/scars.toml", "area >= 40", "area >= 400"), "is not a value of area"),
        (_replace("families/scars.toml", 'zh = "全身瘢痕"', ""), "a key is missing"),
        (
            _replace(
                "families/eyes.toml",
                '8.28"\nwhen = ["both.acuity <',
                '8.99"\nwhen = ["both.acuity <',
            ),
            "8.99 is no item",
        ),
    ],
)
def test_faulty_data_is_refused_with_its_place(
    change: Callable[[Path], None], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(DATA, tmp_path / DATA.name)
    change(tmp_path / DATA.name)
    monkeypatch.setattr(standard, "FOLDER", tmp_path)

    with pytest.raises(StandardFaulty, match=re.escape(words)):
        standard_on(LAW, DAY)


def _label_zh(number: str) -> str:
    return STANDARD.items[number].label_zh
