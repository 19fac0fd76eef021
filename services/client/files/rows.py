"""Rows of a file as orders: each field read over whole columns, each wrong row with its reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from services.client.files.cells import (
    Reading,
    as_texts,
    identifiers,
    null_where,
    numbers_in,
    plain_texts,
    plain_word,
    words_in,
)
from services.client.files.columns import Cell, DayAndTime, Hash, Moment, Ref, Span
from services.client.files.faults import FileFault, RowFault, Unreadable
from services.client.files.mapping import INDUSTRIES, STATES, FileMapping
from services.client.files.moments import (
    DAY_US,
    MOMENT,
    MomentRule,
    NotMoments,
    add_span,
    read_moments,
)
from services.client.files.pieces import Piece
from services.client.files.places import PlaceFinder
from services.client.files.wrong_rows import SCHEMA, FieldFault, marks, without_columns
from services.kernel.identifiers import is_credit_code
from services.kernel.phrases import Phrase

NUMBER_LENGTH_MAX = 64
REASON_LENGTH_MAX = 200
HASH_LENGTH = 32
REVISION_MAX = 2_147_483_647
# An end that lies this far before its beginning is of the next year, where no year is written.
_NEXT_YEAR_US = 300 * DAY_US

_MOMENTS = Phrase(
    "MOMENTS",
    "moments, or name a form such as 'unix seconds' in the mapping",
    "时间类型, 或在映射文件中注明形式, 例如 `unix seconds`",
)


class RowReader:
    """Reads the rows of a file as its mapping says."""

    def __init__(self, mapping: FileMapping) -> None:
        """Raises Unreadable if a library is missing that the mapping needs."""
        self._mapping = mapping
        self._columns = mapping.columns
        self._places = PlaceFinder(mapping)
        self._platforms = _meaning(mapping.words.platform, _own_code)
        self._industries = _meaning(mapping.words.industry, _one_of(INDUSTRIES), INDUSTRIES)
        self._states = _meaning(mapping.words.state, _one_of(STATES), STATES)

    def table(self, piece: Piece) -> pa.Table:
        """The rows of a piece, with the columns of SCHEMA. Raises Unreadable."""
        count = len(piece)
        faults: list[FieldFault] = []
        values: dict[str, Any] = {"file_row": piece.rows}
        for name, read in self._fields():
            reading = read(piece, values)
            values[name] = reading.values
            faults += [
                FieldFault(name, fault, mask)
                for fault, mask in reading.faults
                if pc.any(mask).as_py()
            ]
        place = self._places.find(piece.columns, count)
        faults += [
            FieldFault("place", fault, mask) for fault, mask in place.faults if pc.any(mask).as_py()
        ]
        values |= {
            "place_of_acceptance": place.codes,
            "place_by": place.by,
            "worker_hint": values.pop("worker"),
            **marks(faults, piece, self._refs),
        }
        table = pa.table([values[name] for name in SCHEMA.names], SCHEMA)
        return pa.concat_tables([table, without_columns(piece.wrong)]) if piece.wrong else table

    def _fields(self) -> list[tuple[str, Callable[[Piece, dict[str, Any]], Reading]]]:
        """The fields in the order in which a fault counts; a span comes after its origin."""
        spans = [name for name, one in self._columns.moments().items() if isinstance(one, Span)]
        moments = sorted(("accept_time", "pick_up_time", "end_time"), key=spans.__contains__)
        return [
            ("platform", self._platform),
            ("order_no", self._order_no),
            ("worker", self._worker),
            *((name, self._moment(name)) for name in moments),
            ("industry", self._industry),
            ("state", self._state),
            ("revision", self._revision),
            ("reason", self._reason),
        ]

    def _platform(self, piece: Piece, _values: dict[str, Any]) -> Reading:
        reading = self._words("platform", piece, self._platforms, pa.string())
        return _required(reading)

    def _industry(self, piece: Piece, _values: dict[str, Any]) -> Reading:
        return _required(self._words("industry", piece, self._industries, pa.int8()))

    def _state(self, piece: Piece, values: dict[str, Any]) -> Reading:
        """The state; where nothing says it, an order with an end is completed."""
        ended = pc.is_valid(values["end_time"])
        usual = pc.if_else(ended, STATES["COMPLETED"], STATES["ACCEPTED"]).cast(pa.int8())
        if self._columns.state is None:
            return Reading(usual)
        reading = self._words("state", piece, self._states, pa.int8())
        return Reading(pc.coalesce(reading.values, usual), reading.faults)

    def _order_no(self, piece: Piece, _values: dict[str, Any]) -> Reading:
        cell = self._columns.order_no
        if isinstance(cell, Hash):
            return Reading(self._hashes(cell, piece))
        return identifiers(
            self._texts("order_no", cell, piece),
            digits=cell.digits or 0,
            length_max=NUMBER_LENGTH_MAX,
        )

    def _worker(self, piece: Piece, _values: dict[str, Any]) -> Reading:
        cell = self._columns.worker
        return identifiers(
            self._texts("worker", cell, piece),
            digits=cell.digits or 0,
            length_max=NUMBER_LENGTH_MAX,
        )

    def _moment(self, name: str) -> Callable[[Piece, dict[str, Any]], Reading]:
        moment = self._columns.moments().get(name)

        def read(piece: Piece, values: dict[str, Any]) -> Reading:
            if moment is None:
                return Reading(pa.nulls(len(piece), MOMENT))
            if isinstance(moment, Span):
                length = _column(moment.length, piece)
                span = add_span(values[moment.origin], length, moment.factor_us)
                return _required(span) if name == "accept_time" else span
            rule = self._mapping.rule_of(moment)
            column = self._moment_column(name, moment, piece)
            reading = self._read_moments(name, column, rule)
            if name != "accept_time":
                reading = self._in_next_year(name, column, rule, reading, values)
            shifted = self._shifted(reading)
            return _required(shifted) if name == "accept_time" else shifted

        return read

    def _read_moments(self, name: str, column: Any, rule: MomentRule) -> Reading:
        try:
            return read_moments(column, rule)
        except NotMoments as error:
            fault = FileFault.DAYS_NOT_MOMENTS if error.days else FileFault.WRONG_TYPE
            raise Unreadable(
                fault,
                column=self._named(name),
                field=name,
                kind=str(error)[:100],
                needed=_MOMENTS,
            ) from error

    def _in_next_year(
        self, name: str, column: Any, rule: MomentRule, reading: Reading, values: dict[str, Any]
    ) -> Reading:
        """Where no year is written: an end in January of an order accepted in December."""
        accepted = values.get("accept_time")
        if rule.form is None or rule.form.has_year or accepted is None:
            return reading
        shift = self._mapping.moments.shift_days * DAY_US
        begun = pc.subtract(accepted.view(pa.int64()), shift)
        far = pc.less(reading.values.view(pa.int64()), pc.subtract(begun, _NEXT_YEAR_US))
        is_far = pc.fill_null(far, fill_value=False)
        if not pc.any(is_far).as_py():
            return reading
        next_year = MomentRule(rule.form, rule.zone, rule.year + 1, rule.twice, rule.never)
        later = self._read_moments(name, column, next_year)
        return Reading(pc.if_else(is_far, later.values, reading.values), reading.faults)

    def _shifted(self, reading: Reading) -> Reading:
        days = self._mapping.moments.shift_days
        if not days:
            return reading
        shift = pa.scalar(days * DAY_US, pa.duration("us"))
        return Reading(pc.add(reading.values, shift), reading.faults)

    def _moment_column(self, name: str, moment: Moment | DayAndTime, piece: Piece) -> Any:
        if isinstance(moment, Moment):
            return _column(moment, piece)
        day = _column(moment.date, piece)
        if pa.types.is_timestamp(day.type):
            day = day.cast(pa.date32(), safe=False)
        days, times = self._as_texts(name, day), self._texts(name, moment.time, piece)
        # A day that a spreadsheet shows as midnight.
        days = pc.replace_substring_regex(days, r"[ T]00:00(?::00(?:\.0+)?)?$", "")
        either = pc.or_(pc.is_valid(days), pc.is_valid(times))
        parts = (pc.fill_null(days, ""), pc.fill_null(times, ""))
        return null_where(pc.binary_join_element_wise(*parts, " "), pc.invert(either))

    def _revision(self, piece: Piece, _values: dict[str, Any]) -> Reading:
        cell = self._columns.revision
        if cell is None:
            return Reading(pa.repeat(pa.scalar(1, pa.int32()), len(piece)))
        reading = numbers_in(_column(cell, piece))
        number = reading.values
        whole = pc.and_(
            pc.equal(pc.round(number), number),
            pc.and_(pc.greater_equal(number, 0.0), pc.less_equal(number, float(REVISION_MAX))),
        )
        wrong = pc.invert(pc.fill_null(whole, fill_value=True))
        values = pc.fill_null(null_where(number, wrong), 1.0).cast(pa.int32())
        return Reading(values, [*reading.faults, (RowFault.NOT_A_NUMBER, wrong)])

    def _reason(self, piece: Piece, _values: dict[str, Any]) -> Reading:
        cell = self._columns.reason
        if cell is None:
            return Reading(pa.nulls(len(piece), pa.string()))
        return plain_texts(self._texts("reason", cell, piece), REASON_LENGTH_MAX)

    def _words(self, name: str, piece: Piece, meaning: Callable[[str], Any], kind: Any) -> Reading:
        cell: Cell = getattr(self._columns, name)
        if cell.ref is None:
            value = meaning(str(cell.constant))
            return Reading(pa.repeat(pa.scalar(value, kind), len(piece)))
        return words_in(self._texts(name, cell, piece), meaning, kind)

    def _hashes(self, cell: Hash, piece: Piece) -> Any:
        """A number for each row that depends on the content of the columns alone."""
        if cell.hash == "row":
            joined = piece.whole
        else:
            columns = [pc.fill_null(_any_texts(_column(one, piece)), "") for one in cell.hash]
            joined = pc.binary_join_element_wise(*columns, "\x1f")
        digests = [sha256(text.encode()).hexdigest()[:HASH_LENGTH] for text in joined.to_pylist()]
        return pa.array(digests, pa.string())

    def _texts(self, name: str, cell: Cell, piece: Piece) -> Any:
        return self._as_texts(name, _column(cell, piece))

    def _as_texts(self, name: str, column: Any) -> Any:
        texts = as_texts(column)
        if texts is None:
            raise Unreadable(
                FileFault.WRONG_TYPE,
                column=self._named(name),
                field=name,
                kind=str(column.type)[:100],
                needed="texts",
            )
        return texts

    def _named(self, name: str) -> str:
        """The column of a field as the mapping names it."""
        return " ".join(_name_of(ref) for ref in self._refs(name))

    def _refs(self, name: str) -> list[Ref]:
        value = getattr(self._columns, name)
        return list(value.refs()) if value is not None else []


def _name_of(ref: Ref) -> str:
    return ref.column or str(ref.position)


def _column(cell: Cell, piece: Piece) -> Any:
    """The column of a cell; a constant in each row where it is one."""
    if cell.ref is None:
        return pa.repeat(pa.scalar(str(cell.constant)), len(piece))
    return piece.columns[cell.ref]


def _required(reading: Reading) -> Reading:
    """The reading, with a fault for each empty cell."""
    if not reading.values.null_count:
        return reading
    return Reading(
        reading.values, [*reading.faults, (RowFault.EMPTY_CELL, pc.is_null(reading.values))]
    )


def _any_texts(column: Any) -> Any:
    texts = as_texts(column)
    return column.cast(pa.string()) if texts is None else texts


def _meaning(
    names_by_word: Mapping[str, str],
    own: Callable[[str], Any],
    numbers: Mapping[str, int] | None = None,
) -> Callable[[str], Any]:
    """What a word means: as the mapping says, or as one of our own names."""
    meanings = {
        plain_word(word): numbers[name] if numbers is not None else name
        for word, name in names_by_word.items()
    }

    def look_up(word: str) -> Any:
        value = meanings.get(plain_word(word))
        return own(word) if value is None else value

    return look_up


def _own_code(word: str) -> str | None:
    code = word.strip().upper()
    return code if is_credit_code(code) else None


def _one_of(numbers: Mapping[str, int]) -> Callable[[str], int | None]:
    return lambda word: numbers.get(word.strip().upper())
