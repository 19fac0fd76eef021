"""The grading standard as data: read once from parameters/<standard>, checked, bounded.

`terms.csv` is the vocabulary, `items.csv` has the items as facts, `families/*.toml` those that are
graded by measured findings. Labels come from the facts; the data has no sentence of the standard.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from services.grading.domain.families import COMPARE, Comparison, Family, Measure, Step, number_of
from services.grading.domain.items import Bound, Fact, Item, Labels, Term, folded
from services.kernel.lawbook import Law
from services.kernel.parameters import Value

PARAMETER = "grading_standard"
FOLDER = Path(__file__).resolve().parents[1] / "parameters"
FILE_BYTES_MAX = 1_000_000
ROWS_MAX = 5_000
FAMILIES_MAX = 100
TERM_COLUMNS = ["role", "code", "zh", "en", "kind", "regions", "heals"]
ITEM_COLUMNS = ["item", "join", "side", "part", "finding", "degree", "measure"]
ROLES = ("side", "part", "finding", "degree", "unit", "kind", "region")
YES_NO = (Term("no", "no", "否"), Term("yes", "yes", "是"))
NO_HEALING = "none"
# `or` binds closer than `and`.
JOINTS: Mapping[str, Labels] = {"and": ("; and ", "; 且"), "or": (" or ", "或")}

_ITEM = re.compile(r"(?:[1-9]|10)\.[1-9]\d{0,2}")
_BOUND = re.compile(r"(>=|<=|>|<|)([\d./-]+) (\S+)")
_COMPARISON = re.compile(r"(?:(one|other|both)\.)?([a-z_]+) (>=|<=|>|<|=) ([^ ()]+)(?: \((.+)\))?")


class StandardFaulty(ValueError):  # noqa: N818 - says what is wrong with a file
    """The data of the standard has a fault; names file, row and what to correct."""

    def __init__(self, place: object, what: str) -> None:
        """Put place and fault into the message."""
        super().__init__(f"{place}: {what}.")


@dataclass(frozen=True)
class Standard:
    """The items by number, the families by code, and the vocabulary by role and code."""

    items: Mapping[str, Item]
    families: Mapping[str, Family]
    terms: Mapping[str, Mapping[str, Term]]


def standard_on(law: Law, day: date) -> tuple[Standard, Value]:
    """The standard in force on a day, with the value of the parameter that names it.

    Raises StandardFaulty if its data has a fault.
    """
    value = law.on(PARAMETER, day)
    return _load(FOLDER / str(value.value)), value


@cache
def _load(folder: Path) -> Standard:
    terms = _terms(folder / "terms.csv")
    families = _families(folder / "families", terms)
    items = _items(folder / "items.csv", terms)
    for family in families.values():
        for number in dict.fromkeys(step.item for step in family.steps if not step.assumed):
            if number in items:
                raise StandardFaulty(family.code, f"item {number} stands twice; remove one")
            items[number] = _item_of(family, number)
        unknown = {step.item for step in family.steps} - items.keys()
        if unknown:
            raise StandardFaulty(family.code, f"{min(unknown)} is no item; correct the step")
    in_order = sorted(items.values(), key=lambda item: item.place)
    _require_no_gap(in_order, folder)
    searchable = {item.number: _with_search_text(item, terms, families) for item in in_order}
    return Standard(searchable, families, terms)


def _require_no_gap(items: Iterable[Item], folder: Path) -> None:
    last = (0, 0)
    for item in items:
        grade, number = item.place
        expected = last[1] + 1 if grade == last[0] else 1
        if number != expected or grade > last[0] + 1:
            raise StandardFaulty(folder.name, f"item {grade}.{expected} is missing; add it")
        last = item.place


def _rows(path: Path, columns: list[str]) -> list[tuple[str, dict[str, str]]]:
    """The rows of a CSV file, each with its place."""
    with path.open(encoding="utf-8", newline="") as source:
        reader = csv.DictReader(source)
        if reader.fieldnames != columns or path.stat().st_size > FILE_BYTES_MAX:
            raise StandardFaulty(path.name, f"the columns are {', '.join(columns)}; correct them")
        rows = [(f"{path.name}, line {reader.line_num}", row) for row in reader]
    if len(rows) > ROWS_MAX:
        raise StandardFaulty(path.name, f"there are more than {ROWS_MAX:,} rows; remove some")
    for place, row in rows:
        if None in row or None in row.values():
            raise StandardFaulty(place, f"the row has not {len(columns)} columns; correct it")
    return rows


def _terms(path: Path) -> dict[str, dict[str, Term]]:
    terms: dict[str, dict[str, Term]] = {role: {} for role in ROLES}
    for place, row in _rows(path, TERM_COLUMNS):
        if row["role"] not in ROLES or not (row["code"] and row["zh"].strip() and row["en"]):
            raise StandardFaulty(place, "a term has a role, a code and two languages; write all")
        if row["code"] in terms[row["role"]]:
            raise StandardFaulty(place, f"the term {row['code']} stands twice; remove one")
        terms[row["role"]][row["code"]] = Term(
            row["code"], row["en"], row["zh"], row["kind"], tuple(row["regions"].split()),
            row["heals"],
        )  # fmt: skip
    for term in (term for role in terms.values() for term in role.values()):
        _require_known(terms, term.code, term.kind, term.regions)
    return terms


def _require_known(
    terms: Mapping[str, Mapping[str, Term]], place: str, kind: str, regions: Iterable[str]
) -> None:
    for role, codes in (("kind", [kind] if kind else []), ("region", regions)):
        for code in codes:
            if code not in terms[role]:
                raise StandardFaulty(place, f"the {role} {code} is not among the terms; add it")


def _items(path: Path, terms: Mapping[str, Mapping[str, Term]]) -> dict[str, Item]:
    facts: dict[str, list[tuple[str, Fact]]] = {}
    for place, row in _rows(path, ITEM_COLUMNS):
        number, join = row["item"], row["join"]
        if not _ITEM.fullmatch(number):
            raise StandardFaulty(place, f"{number} is not an item such as 6.14; correct it")
        if (number in facts) != (join in JOINTS) or (number in facts and number != [*facts][-1]):
            raise StandardFaulty(place, "the first row of an item has no join, the next and or or")
        facts.setdefault(number, []).append((join, _fact(row, terms, place)))
    return {number: _item(number, rows, path.name) for number, rows in facts.items()}


def _fact(row: Mapping[str, str], terms: Mapping[str, Mapping[str, Term]], place: str) -> Fact:
    def term(role: str) -> Term | None:
        code = row[role]
        if code and code not in terms[role]:
            raise StandardFaulty(place, f"the {role} {code} is not among the terms; add it")
        return terms[role].get(code)

    finding = term("finding")
    if finding is None:
        raise StandardFaulty(place, "a row has a finding; write it")
    first, *others = row["measure"].split("|")
    bounds = _bounds(first, terms["unit"], place) if first else ()
    further = [bound for text in others for bound in _bounds(text, terms["unit"], place)]
    return Fact(term("side"), term("part"), finding, term("degree"), bounds, tuple(further))


def _bounds(text: str, units: Mapping[str, Term], place: str) -> tuple[Bound, ...]:
    """The bounds in a cell such as `>1/4&<1/2` or `>=30 cm2`."""
    bounds = []
    for part in text.split("&"):
        written = part if " " in part else f"{part} "
        match = _BOUND.fullmatch(written) if written.strip() == written else None
        if match is None:
            bare = re.fullmatch(r"(>=|<=|>|<|)([\d./-]+)", part)
            if bare is None:
                raise StandardFaulty(place, f"{text!r} is not a measure such as >=30 cm2; correct")
            bounds.append(Bound(bare[1], bare[2], Term("", "", "")))
            continue
        if match[3] not in units:
            raise StandardFaulty(place, f"the unit {match[3]} is not among the terms; add it")
        bounds.append(Bound(match[1], match[2], units[match[3]]))
    return tuple(bounds)


def _item(number: str, facts: list[tuple[str, Fact]], file: str) -> Item:
    regions: dict[str, None] = {}
    heals: dict[str, None] = {}
    for _, fact in facts:
        of_part = fact.part.regions if fact.part else ()
        regions |= dict.fromkeys((*of_part, *fact.finding.regions))
        heal = fact.finding.heals or (fact.part.heals if fact.part else "")
        heals |= dict.fromkeys([heal] if heal and heal != NO_HEALING else [])
    kind = facts[0][1].finding.kind
    if not regions or not kind:
        raise StandardFaulty(f"{file}, item {number}", "no term has a kind and a region; add them")
    label, label_zh = facts[0][1].labels
    for join, fact in facts[1:]:
        label += JOINTS[join][0] + fact.labels[0]
        label_zh += JOINTS[join][1] + fact.labels[1]
    return Item(number, kind, tuple(regions), frozenset(heals), label, label_zh)


def _item_of(family: Family, number: str) -> Item:
    steps = [step for step in family.steps if step.item == number]
    # An assumed step is no part of the item's words; a step of that kind never stands alone.
    labels = [family.step_labels(step) for step in steps if not step.assumed]
    label, label_zh = (JOINTS["or"][n].join(pair[n] for pair in labels) for n in (0, 1))
    heals = frozenset([family.heals] if family.heals else [])
    return Item(number, family.kind, family.regions, heals, label, label_zh, family.code)


def _with_search_text(
    item: Item, terms: Mapping[str, Mapping[str, Term]], families: Mapping[str, Family]
) -> Item:
    named = [terms["kind"][item.kind], *(terms["region"][code] for code in item.regions)]
    texts = [item.number, item.clause, item.label, item.label_zh]
    texts += [f"{term.en} {term.zh}" for term in named]
    if item.family:
        texts += [item.family, families[item.family].en, families[item.family].zh]
    return replace(item, search_text=folded(" ".join(texts)))


def _families(folder: Path, terms: Mapping[str, Mapping[str, Term]]) -> dict[str, Family]:
    paths = sorted(folder.glob("*.toml"))
    if len(paths) > FAMILIES_MAX:
        raise StandardFaulty(folder.name, f"there are more than {FAMILIES_MAX} families")
    families = {}
    for path in paths:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        try:
            family = _family(content, terms, path.name)
        except (KeyError, TypeError) as error:
            raise StandardFaulty(path.name, f"a key is missing or wrong ({error})") from error
        families[family.code] = family
    return families


def _family(
    content: Mapping[str, Any], terms: Mapping[str, Mapping[str, Term]], file: str
) -> Family:
    _require_known(terms, file, content["kind"], content["regions"])
    measures = {row["name"]: _measure(row, terms["unit"], file) for row in content["measure"]}
    pair: dict[str, Labels] = {
        side: (row["en"], row["zh"]) for side, row in content.get("pair", {}).items()
    }
    steps = tuple(
        Step(
            row["item"],
            tuple(
                tuple(
                    _comparison(text, measures, f"{file}, item {row['item']}", paired=bool(pair))
                    for text in condition.split(" or ")
                )
                for condition in row["when"]
            ),
            row.get("assumed", ""),
            row.get("assumed_zh", ""),
            row.get("en", ""),
            row.get("zh", ""),
        )
        for row in content["step"]
    )
    for step in steps:
        if not _ITEM.fullmatch(step.item) or not step.conditions:
            raise StandardFaulty(f"{file}, item {step.item}", "a step has an item and conditions")
    return Family(
        content["code"],
        content["kind"],
        tuple(content["regions"]),
        content["heals"],
        content["en"],
        content["zh"],
        tuple(measures.values()),
        steps,
        pair,
        repeatable=content.get("repeatable", False),
    )


def _measure(row: Mapping[str, Any], units: Mapping[str, Term], file: str) -> Measure:
    def terms(key: str) -> tuple[Term, ...]:
        return tuple(Term(term["code"], term["en"], term["zh"]) for term in row.get(key, ()))

    def number(key: str) -> Fraction | None:
        return number_of(row[key]) if key in row else None

    measure = Measure(
        row["name"],
        row["en"],
        row["zh"],
        units[row["unit"]] if "unit" in row else None,
        number("low"),
        number("high"),
        YES_NO if row.get("yes_no") else terms("choices"),
        terms("named"),
        row.get("default", ""),
        required=row.get("required", False),
        whole=row.get("whole", False),
        yes_no=row.get("yes_no", False),
        within=row.get("within", ""),
    )
    if bool(measure.choices) == (measure.low is not None and measure.high is not None):
        raise StandardFaulty(file, f"{measure.name} has low and high, or choices; write one")
    if measure.default and measure.read(measure.default) is None:
        raise StandardFaulty(file, f"the default of {measure.name} is not a value of it")
    return measure


def _comparison(
    text: str, measures: Mapping[str, Measure], place: str, *, paired: bool
) -> Comparison:
    match = _COMPARISON.fullmatch(text)
    measure = measures.get(match[2]) if match else None
    if match is None or measure is None or bool(match[1]) != paired:
        raise StandardFaulty(place, f"{text!r} is not a condition such as area >= 40; correct it")
    limit = measure.read(match[4])
    if limit is None or match[3] not in COMPARE:
        raise StandardFaulty(place, f"{match[4]} is not a value of {measure.name}; correct it")
    return Comparison(match[1] or "", measure, match[3], match[4], limit, match[5] or "")


# A fault stops the start of the service, not the first opinion.
for _path in FOLDER.glob("*/items.csv"):
    _load(_path.parent)
