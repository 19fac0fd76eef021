"""Families of items that are graded by measured findings: scars, sight, hearing and others."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from services.grading.domain.items import SIGNS, Labels, Term
from services.grading.domain.problems import MeasurementWrong
from services.kernel.phrases import Phrase

LEFT, RIGHT = "left", "right"
BOTH = "both"
COMPARE: Mapping[str, Callable[[Fraction, Fraction], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
# Short enough that no text makes a number of great size.
_NUMBER = re.compile(r"(?P<number>\d{1,6}(?:\.\d{1,6})?)(?P<percent>%)?|\d{1,3}/[1-9]\d{0,2}")

# Measured values by name, as numbers: `area`, or `left.acuity`.
Readings = Mapping[str, Fraction]


@dataclass(frozen=True)
class Measure:
    """What is measured: a number between bounds, or one of `choices` in rising order.

    `named` are results below all numbers, the worst first. `default` is the text that counts where
    no value was measured.
    """

    name: str
    en: str
    zh: str
    unit: Term | None = None
    low: Fraction | None = None
    high: Fraction | None = None
    choices: tuple[Term, ...] = ()
    named: tuple[Term, ...] = ()
    default: str = ""
    required: bool = False
    whole: bool = False
    yes_no: bool = False

    def read(self, text: str) -> Fraction | None:
        """A measured value as a number: a choice by its place; None if the text is neither."""
        for terms, first in ((self.choices, 0), (self.named, -len(self.named))):
            codes = [term.code for term in terms]
            if text in codes:
                return Fraction(first + codes.index(text))
        number = number_of(text)
        if number is None or self.low is None or self.high is None:
            return None
        fits = self.low <= number <= self.high and (not self.whole or number.denominator == 1)
        return number if fits else None

    @property
    def form(self) -> Phrase:
        """What may be written: a number, one of the choices, or either."""
        choices = tuple(Phrase(term.code, term.code, term.zh) for term in self._terms)
        number = (_plain(self.low), _plain(self.high)) if self.low is not None else ("", "")
        case, text, text_zh = {
            (True, True): (
                "NUMBER_OR_CHOICE",
                "a number from {low} to {high} or one of {choices}",
                "{low} 至 {high} 的数值, 或以下之一: {choices}",
            ),
            (True, False): (
                "NUMBER",
                "a number from {low} to {high}",
                "{low} 至 {high} 的数值",
            ),
            (False, True): ("CHOICE", "one of {choices}", "以下之一: {choices}"),
        }[self.low is not None, bool(choices)]
        return Phrase.of(case, text, text_zh, low=number[0], high=number[1], choices=choices)

    @property
    def _terms(self) -> tuple[Term, ...]:
        return (*self.named, *self.choices)

    def term(self, text: str) -> Term | None:
        """The choice or named value with a code."""
        return next((term for term in self._terms if term.code == text), None)


@dataclass(frozen=True)
class Comparison:
    """One measured value against a limit; `side` is empty, `one`, `other` or `both`."""

    side: str
    measure: Measure
    operator: str
    text: str
    limit: Fraction
    note: str = ""

    def meets(self, readings: Readings, sides: tuple[str, str]) -> bool:
        """Whether it holds, with `sides` as the first and the other side; not if unmeasured."""
        if self.side == BOTH:
            names = [f"{side}.{self.measure.name}" for side in sides]
        elif self.side:
            names = [f"{sides[self.side != 'one']}.{self.measure.name}"]
        else:
            names = [self.measure.name]
        values = [readings.get(name) for name in names]
        compare = COMPARE[self.operator]
        return all(value is not None and compare(value, self.limit) for value in values)


@dataclass(frozen=True)
class Step:
    """One way to reach an item: each condition holds if one of its comparisons does.

    `assumed` and `assumed_zh` say why the step closes a gap that the standard leaves.
    """

    item: str
    conditions: tuple[tuple[Comparison, ...], ...]
    assumed: str = ""
    assumed_zh: str = ""

    @property
    def grade(self) -> int:
        """The grade of the item."""
        return int(self.item.partition(".")[0])

    def unmet(self, readings: Readings, sides: tuple[str, str]) -> list[tuple[Comparison, ...]]:
        """The conditions that do not hold."""
        return [
            condition
            for condition in self.conditions
            if not any(comparison.meets(readings, sides) for comparison in condition)
        ]


@dataclass(frozen=True)
class Verdict:
    """The step that decides, None if none applies; and the nearest worse one with what it lacks."""

    step: Step | None
    worse: Step | None = None
    lacking: tuple[Comparison, ...] = ()


@dataclass(frozen=True)
class Family:
    """A family of items; `pair` has the words for one side, the other, and both, if it is one.

    A family is measured once for a person, unless it is `repeatable`: each limb counts.
    """

    code: str
    kind: str
    regions: tuple[str, ...]
    heals: str
    en: str
    zh: str
    measures: tuple[Measure, ...]
    steps: tuple[Step, ...]
    pair: Mapping[str, Labels]
    repeatable: bool = False

    @property
    def names(self) -> dict[str, Measure]:
        """The measures by the names under which their values are sent."""
        if not self.pair:
            return {measure.name: measure for measure in self.measures}
        return {
            f"{side}.{measure.name}": measure for measure in self.measures for side in (LEFT, RIGHT)
        }

    def readings(self, measurements: Sequence[tuple[str, str]], field: str) -> Readings:
        """The measured values as numbers, with defaults; raises MeasurementWrong."""
        names = self.names
        readings: dict[str, Fraction] = {}
        for index, (name, text) in enumerate(measurements):
            place = f"{field}.measurements[{index}]"
            measure = names.get(name)
            if measure is None or name in readings:
                known = tuple(self._title(name, measure) for name, measure in names.items())
                form = Phrase.of(
                    "KNOWN_MEASURES",
                    "one of {measures}, once each",
                    "各至多一次以下测量值: {measures}",
                    measures=known,
                )
                raise self._wrong(place, name, form)
            value = measure.read(text)
            if value is None:
                raise self._wrong(place, name, measure.form)
            readings[name] = value
        for name, measure in names.items():
            if name not in readings and measure.default:
                readings[name] = measure.read(measure.default) or Fraction(0)
            if name not in readings and measure.required:
                raise self._wrong(f"{field}.measurements", name, measure.form)
        if not measurements:
            first = next(iter(names))
            raise self._wrong(f"{field}.measurements", first, names[first].form)
        return readings

    def decide(self, readings: Readings) -> Verdict:
        """The worst item that applies; of a pair, either side may be the first."""
        orders = [(LEFT, RIGHT), (RIGHT, LEFT)] if self.pair else [(LEFT, RIGHT)]
        met: list[Step] = []
        near: list[tuple[Step, tuple[Comparison, ...]]] = []
        for step in self.steps:
            unmet = [step.unmet(readings, sides) for sides in orders]
            fewest = min(unmet, key=len)
            if not fewest:
                met.append(step)
            elif len(fewest) == 1 < len(step.conditions) and not step.assumed:
                near.append((step, fewest[0]))
        # An item of the standard comes before an assumed step of the same grade.
        decisive = min(met, key=lambda step: (step.grade, bool(step.assumed)), default=None)
        worse = [pair for pair in near if decisive is None or pair[0].grade < decisive.grade]
        nearest, lacking = min(worse, key=lambda pair: pair[0].grade, default=(None, ()))
        return Verdict(decisive, nearest, lacking)

    def step_labels(self, step: Step) -> Labels:
        """The words of one step."""
        labels = [self.condition_labels(condition) for condition in step.conditions]
        return ", and ".join(en for en, _ in labels), "且".join(zh for _, zh in labels)

    def condition_labels(self, condition: Sequence[Comparison]) -> Labels:
        """The words of one condition."""
        labels = [self._comparison_labels(comparison) for comparison in condition]
        return " or ".join(en for en, _ in labels), "或".join(zh for _, zh in labels)

    def _comparison_labels(self, comparison: Comparison) -> Labels:
        measure = comparison.measure
        term = measure.term(comparison.text)
        if measure.yes_no:
            labels = measure.en, measure.zh
        elif term is not None:
            labels = term.en, term.zh
        else:
            sign = SIGNS[comparison.operator]
            unit, unit_zh = (measure.unit.en, measure.unit.zh) if measure.unit else ("", "")
            gap = " " if unit[:1].isalpha() else ""
            note = f" ({comparison.note})" if comparison.note else ""
            labels = (
                f"{measure.en} {sign} {comparison.text}{gap}{unit}{note}",
                f"{measure.zh} {sign}{comparison.text}{unit_zh}{note}",
            )
        if not comparison.side:
            return labels
        side, side_zh = self.pair[comparison.side]
        return f"{side}: {labels[0]}", f"{side_zh}{labels[1]}"

    @property
    def label(self) -> Phrase:
        """The family by its code, and in Chinese by its words."""
        return Phrase(self.code, self.code, self.zh)

    def _title(self, name: str, measure: Measure) -> Phrase:
        """A measure by the name under which its value is sent, and in Chinese by its words."""
        side = {f"{LEFT}.{measure.name}": "左侧", f"{RIGHT}.{measure.name}": "右侧"}.get(name, "")
        return Phrase(name, name, f"{side}{measure.zh}")

    def _wrong(self, field: str, name: str, form: Phrase) -> MeasurementWrong:
        measure = self.names.get(name)
        title = self._title(name, measure) if measure else name
        return MeasurementWrong(field=field, family=self.label, measure=title, form=form)


def number_of(text: str) -> Fraction | None:
    """A decimal, a percentage or a fraction of short length; None for other texts."""
    match = _NUMBER.fullmatch(text) if text.isascii() else None
    if match is None:
        return None
    if match["number"] is None:
        return Fraction(text)
    return Fraction(match["number"]) / (100 if match["percent"] else 1)


def _plain(number: Fraction | None) -> str:
    assert number is not None
    return f"{(Decimal(number.numerator) / Decimal(number.denominator)).normalize():f}"
