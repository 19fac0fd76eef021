"""Cells over whole columns: texts, numbers, words and codes, and what spreadsheets do to them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from services.client.files.faults import RowFault

# Before a formula that a spreadsheet kept without its value; a character that no text has.
FORMULA_MARK = "\ufdd0"
# A spreadsheet writes 6.9E+17, Java 6.9E17; 4E5 may be a number of an order.
_CUT_NUMBER = r"^[+-]?(?:\d(?:\.\d+)?[Ee]\+\d+|\d\.\d+[Ee]\d+)$"
_WITH_POINT = r"^\d+\.0+$"
_ERROR = r"^#(?:N/A|REF!|VALUE!|NAME\?|DIV/0!|NUM!|NULL!|SPILL!|CALC!|#+)$"
# How an export keeps a spreadsheet from changing a number: ="00042"
_GUARDED = r'^="(.*)"$'
_NUMBER = r"^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[Ee][+-]?\d+)?\s*$"
_DIVISION = r"^([1-9]\d{5})(?:\d{3}|\d{6})?(?:\.0+)?$"


def whole(value: int) -> Any:
    """A whole number for a computation over a column.

    A Python number in its place would be inspected at each call, which takes longer than the
    computation itself over a small column.
    """
    return pa.scalar(value, pa.int64())


def real(value: float) -> Any:
    """A floating-point number for a computation over a column; see `whole`."""
    return pa.scalar(value, pa.float64())


_FALSE, _NOTHING = pa.scalar(value=False), pa.scalar(0, pa.int32())


def is_true(mask: Any) -> Any:
    """The mask with false for null."""
    return pc.coalesce(mask, _FALSE) if mask.null_count else mask


@dataclass(frozen=True)
class Reading:
    """The values of a field, null where there is none, and where a cell is wrong and why."""

    values: Any
    faults: list[tuple[RowFault, Any]] = field(default_factory=list)


def as_texts(column: Any) -> Any | None:
    """A column as texts, null for empty ones; None if its type holds no texts."""
    kind = column.type
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_string(kind):
        return without_empty(column)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return without_empty(column.cast(pa.string()))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return without_empty(column.cast(pa.string()))
    is_written_alike = (
        pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
        or (pa.types.is_decimal(kind) and kind.scale == 0)
        or pa.types.is_date(kind)
        or pa.types.is_time(kind)
    )
    return column.cast(pa.string()) if is_written_alike else None


def without_empty(texts: Any) -> Any:
    """Texts with null for the empty ones, which have no value."""
    is_empty = pc.equal(pc.binary_length(texts), _NOTHING)
    if not pc.any(is_empty).as_py():
        return texts
    return pc.if_else(is_empty, pa.scalar(None, texts.type), texts)


def trimmed(texts: Any) -> Any:
    """Texts without blanks around them; null for those that are nothing else."""
    return without_empty(pc.utf8_trim_whitespace(texts))


def null_where(column: Any, mask: Any) -> Any:
    """The column with null where the mask is true."""
    return pc.if_else(mask, pa.scalar(None, column.type), column)


def identifiers(texts: Any, *, digits: int = 0, length_max: int = 64) -> Reading:
    """Numbers of orders and workers: texts that must be exactly what the platform has."""
    values = trimmed(texts)
    faults = [(RowFault.EMPTY_CELL, pc.is_null(values))]
    if _any(pc.starts_with(values, "=")):
        guarded = pc.replace_substring_regex(values, _GUARDED, r"\1")
        values = without_empty(guarded)
    if _any(pc.match_substring(values, "+")) or _any(pc.match_substring(values, ".")):
        faults.append((RowFault.CUT_NUMBER, _matches(values, _CUT_NUMBER)))
    if _any(pc.match_substring(values, ".0")):
        faults.append((RowFault.NUMBER_WITH_POINT, _matches(values, _WITH_POINT)))
    faults += _damage(values)
    faults += _unprintable(values)
    if digits:
        is_short = pc.less(pc.utf8_length(values), digits)
        is_number = pc.and_(pc.utf8_is_decimal(values), is_short)
        faults.append((RowFault.LOST_ZEROS, is_true(is_number)))
    return Reading(values, [*faults, *_too_long(values, length_max)])


def plain_texts(texts: Any, length_max: int) -> Reading:
    """Texts for people: runs of blanks and line breaks count as one blank."""
    values = trimmed(texts)
    if _any(_matches(values, r"[\s\x{0b}]{2,}|[^\S ]")):
        values = trimmed(pc.replace_substring_regex(values, r"[\s\x{0b}]+", " "))
    return Reading(values, [*_unprintable(values), *_too_long(values, length_max)])


def numbers_in(column: Any, decimal: str = ".") -> Reading:
    """A column of numbers. A text that is none is a fault; null where there is no number."""
    kind = column.type
    if pa.types.is_null(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return Reading(column.cast(pa.float64(), safe=False))
    if pa.types.is_decimal(kind):
        return Reading(column.cast(pa.float64()))
    texts = as_texts(column)
    if texts is None:
        every = pa.repeat(pa.scalar(value=True), len(column))
        return Reading(pa.nulls(len(column), pa.float64()), [(RowFault.NOT_A_NUMBER, every)])
    written = pc.replace_substring(texts, decimal, ".") if decimal != "." else texts
    try:
        return Reading(written.cast(pa.float64()))
    except pa.ArrowInvalid:
        blank = trimmed(written)
        is_number = pc.match_substring_regex(blank, _NUMBER)
        wrong = is_true(pc.invert(is_number))
        values = null_where(blank, wrong).cast(pa.float64())
        return Reading(values, [(RowFault.NOT_A_NUMBER, wrong)])


def words_in(texts: Any, meaning: Callable[[str], Any], kind: Any) -> Reading:
    """What the words of a column mean; each different word is looked up once.

    A word without a meaning is a fault, an empty cell null.
    """
    encoded = texts.dictionary_encode()
    labels = encoded.dictionary.to_pylist()
    meanings = [meaning(word) for word in labels]
    values = pa.array(meanings, kind).take(encoded.indices)
    is_known = [
        value is not None or not plain_word(word)
        for word, value in zip(labels, meanings, strict=True)
    ]
    if all(is_known):
        return Reading(values)
    wrong = pc.invert(pa.array(is_known, pa.bool_()).take(encoded.indices))
    return Reading(values, [(RowFault.UNKNOWN_WORD, is_true(wrong))])


def plain_word(word: str) -> str:
    """A word as words are compared: without blanks around it, case or width of its letters."""
    return unicodedata.normalize("NFKC", word).strip().casefold()


def divisions_in(texts: Any, meanings: Mapping[str, int]) -> Reading:
    """Division codes (GB/T 2260) of a column: six digits, or their first six of nine or twelve."""
    encoded = texts.dictionary_encode()
    labels = pc.utf8_trim_whitespace(encoded.dictionary)
    codes = pc.struct_field(pc.extract_regex(labels, _DIVISION.replace("(", "(?P<code>", 1)), [0])
    by_word = [meanings.get(plain_word(word)) for word in labels.to_pylist()]
    values = pc.coalesce(pa.array(by_word, pa.int32()), codes.cast(pa.int32()))
    is_blank = pc.equal(pc.binary_length(labels), _NOTHING)
    wrong = pc.and_not(pc.is_null(values), is_blank).take(encoded.indices)
    place = encoded.indices
    return Reading(values.take(place), [(RowFault.NOT_A_DIVISION, is_true(wrong))])


def _damage(values: Any) -> list[tuple[RowFault, Any]]:
    """Errors of spreadsheets, and formulas without their value."""
    faults = []
    if _any(pc.starts_with(values, "#")):
        faults.append((RowFault.SPREADSHEET_ERROR, _matches(values, _ERROR)))
    has_formula = pc.starts_with(values, FORMULA_MARK)
    if _any(has_formula):
        mask = is_true(has_formula)
        faults.append((RowFault.FORMULA_WITHOUT_VALUE, mask))
    return faults


def _unprintable(values: Any) -> list[tuple[RowFault, Any]]:
    printable = pc.utf8_is_printable(values)
    if pc.all(printable).as_py() is not False:
        return []
    wrong = is_true(pc.invert(printable))
    return [(RowFault.CONTROL_CHARACTER, wrong)]


def _too_long(values: Any, length_max: int) -> list[tuple[RowFault, Any]]:
    # No text has more characters than bytes.
    longest = pc.max(pc.binary_length(values)).as_py()
    if longest is None or longest <= length_max:
        return []
    wrong = pc.greater(pc.utf8_length(values), length_max)
    return [(RowFault.TOO_LONG, is_true(wrong))]


def _matches(texts: Any, pattern: str) -> Any:
    return is_true(pc.match_substring_regex(texts, pattern))


def _any(mask: Any) -> bool:
    return bool(pc.any(mask).as_py())
