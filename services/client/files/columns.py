"""What `[columns]` of a mapping may say: where each field of an order comes from.

A field is a column by its header (`worker = "骑手编号"`), or a table: `{ column = … }`,
`{ position = 3 }`, `{ constant = … }`. An order number may be a hash of columns; a moment may be
made of a day and a time, or of another moment and a length of time; a place is a code or
coordinates.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from services.client.files.mapping_faults import Bilingual

Positive = Annotated[int, Field(ge=1, le=10_000)]
MOMENTS = ("accept_time", "pick_up_time", "end_time")


class Ref(NamedTuple):
    """A column of the file: by header, or path in JSON, or by position from 1."""

    column: str = ""
    position: int = 0


class Strict(BaseModel):
    """A table of the mapping: no unknown key, no change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Cell(Strict):
    """One column, or a constant."""

    column: Annotated[str, Field(min_length=1)] | None = None
    position: Positive | None = None
    constant: str | int | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Cell:
        sources = [name for name in Cell.model_fields if getattr(self, name) is not None]
        if len(sources) != 1:
            raise Bilingual(
                f"gives {' and '.join(sources) or 'nothing'}; give one of column, position and "
                "constant",
                f"给出了 {'、'.join(sources) or '空值'}; "
                "请在 `column`、`position`、`constant` 中只给一个",
            )
        return self

    @property
    def ref(self) -> Ref | None:
        """The column; None for a constant."""
        if self.constant is not None:
            return None
        return Ref(self.column or "", self.position or 0)

    def refs(self) -> Iterator[Ref]:
        """The columns that it needs."""
        if self.ref is not None:
            yield self.ref


def _as_cell(value: Any) -> Any:
    """A plain text is the header of a column."""
    if isinstance(value, str):
        return {"column": value}
    if isinstance(value, list):
        raise Bilingual(
            "names several columns; a field comes from one", "给出了多列; 一个字段只能取自一列"
        )
    if not isinstance(value, dict | BaseModel):
        raise Bilingual(
            "is neither the header of a column nor a table such as { position = 3 }",
            "既不是列名, 也不是 `{ position = 3 }` 这样的表",
        )
    return value


CellOf = Annotated[Cell, BeforeValidator(_as_cell)]


class Numbered(Cell):
    """A text that is a number: `digits` is how many it always has, so that lost zeros show."""

    digits: Annotated[int, Field(ge=1, le=64)] | None = None


class Hash(Strict):
    """A number made of the content of columns, where the platform has none for its orders."""

    hash: Annotated[list[CellOf], Field(min_length=1)] | Literal["row"]

    def refs(self) -> Iterator[Ref]:
        """The columns that it needs; "row" means all, which the reader knows."""
        if self.hash != "row":
            for cell in self.hash:
                yield from cell.refs()


class Moment(Cell):
    """A moment in one column; form and zone of its own instead of those under `[moments]`."""

    form: str | None = None
    zone: str | None = None

    @model_validator(mode="after")
    def _is_column(self) -> Moment:
        if self.constant is not None:
            raise Bilingual("is the same moment for all orders", "所有订单的时间相同")
        return self


class DayAndTime(Strict):
    """A moment in two columns; the day may be a constant."""

    date: CellOf
    time: CellOf
    form: str | None = None
    zone: str | None = None

    def refs(self) -> Iterator[Ref]:
        """The columns that it needs."""
        yield from self.date.refs()
        yield from self.time.refs()


class Span(Strict):
    """A moment some time after or before another one of the row."""

    after: Literal["accept_time", "pick_up_time", "end_time"] | None = None
    before: Literal["accept_time", "pick_up_time", "end_time"] | None = None
    seconds: CellOf | None = None
    minutes: CellOf | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Span:
        if (self.after is None) == (self.before is None):
            raise Bilingual(
                "needs either after or before, with the name of a time",
                "须在 `after` 与 `before` 中给出一个时间字段",
            )
        if (self.seconds is None) == (self.minutes is None):
            raise Bilingual(
                "needs either seconds or minutes", "须在 `seconds` 与 `minutes` 中给出一个"
            )
        return self

    @property
    def origin(self) -> str:
        """The moment that it starts from."""
        return self.after or self.before or ""

    @property
    def length(self) -> Cell:
        """The column of the length."""
        cell = self.seconds or self.minutes
        assert cell is not None
        return cell

    @property
    def factor_us(self) -> int:
        """Microseconds per unit of the length, negative for `before`."""
        unit = 1_000_000 if self.seconds is not None else 60_000_000
        return unit if self.after is not None else -unit

    def refs(self) -> Iterator[Ref]:
        """The columns that it needs."""
        yield from self.length.refs()


class Place(Strict):
    """A place: its division code, the pooling area, or coordinates; the first that is known."""

    adcode: CellOf | None = None
    pooling_area: CellOf | None = None
    lng: CellOf | None = None
    lat: CellOf | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Place:
        if (self.lng is None) != (self.lat is None):
            raise Bilingual("needs both lng and lat", "`lng` 与 `lat` 须同时给出")
        if not self.cells():
            raise Bilingual(
                "needs adcode, pooling_area, or lng and lat",
                "须给出 `adcode`、`pooling_area` 或 `lng` 与 `lat`",
            )
        return self

    def cells(self) -> dict[str, Cell]:
        """The cells that it has, by key."""
        return {
            name: cell for name in Place.model_fields if (cell := getattr(self, name)) is not None
        }

    def refs(self) -> Iterator[Ref]:
        """The columns that it needs."""
        for cell in self.cells().values():
            yield from cell.refs()


def _kind_of_number(value: Any) -> str:
    is_hash = isinstance(value, Hash) or (isinstance(value, dict) and "hash" in value)
    return "$hash" if is_hash else "$column"


def _kind_of_moment(value: Any) -> str:
    if isinstance(value, DayAndTime | Span):
        return "$day" if isinstance(value, DayAndTime) else "$span"
    keys = set(value) if isinstance(value, dict) else set()
    if keys & {"date", "time"}:
        return "$day"
    return "$span" if keys & {"after", "before", "seconds", "minutes"} else "$column"


NumberOf = Annotated[
    Annotated[Numbered, Tag("$column")] | Annotated[Hash, Tag("$hash")],
    Discriminator(_kind_of_number),
    BeforeValidator(_as_cell),
]
MomentOf = Annotated[
    Annotated[Moment, Tag("$column")]
    | Annotated[DayAndTime, Tag("$day")]
    | Annotated[Span, Tag("$span")],
    Discriminator(_kind_of_moment),
    BeforeValidator(_as_cell),
]
AnyMoment = Moment | DayAndTime | Span


class Columns(Strict):
    """Where each field of an order comes from."""

    platform: CellOf
    industry: CellOf
    worker: Annotated[Numbered, BeforeValidator(_as_cell)]
    order_no: NumberOf
    accept_time: MomentOf
    place: Place
    end_time: MomentOf | None = None
    pick_up_time: MomentOf | None = None
    state: CellOf | None = None
    revision: CellOf | None = None
    reason: CellOf | None = None

    @model_validator(mode="after")
    def _spans_have_an_origin(self) -> Columns:
        for name, moment in self.moments().items():
            if isinstance(moment, Span):
                origin = self.moments().get(moment.origin)
                if origin is None or isinstance(origin, Span):
                    raise Bilingual(
                        f"{name} starts from {moment.origin}, which has to be a column of its own",
                        f"{name} 以 {moment.origin} 为起点, 后者须有自己的列",
                    )
        return self

    @model_validator(mode="after")
    def _has_an_end(self) -> Columns:
        is_open = self.state is not None and self.state.constant == "ACCEPTED"
        if self.end_time is None and not is_open:
            raise Bilingual(
                "end_time is missing: nothing says when an order ended; name a column, or "
                'state = { constant = "ACCEPTED" } if all orders are under way',
                "缺少 `end_time`: 无法得知订单何时结束; 请指定列, "
                '若全部订单仍在进行, 请写 `state = { constant = "ACCEPTED" }`',
            )
        return self

    def moments(self) -> dict[str, AnyMoment]:
        """The moments that the mapping gives, by field."""
        return {name: value for name in MOMENTS if (value := getattr(self, name)) is not None}

    def fields_by_ref(self) -> dict[Ref, str]:
        """The columns that are needed, each with the first field that needs it."""
        fields: dict[Ref, str] = {}
        for name in Columns.model_fields:
            value = getattr(self, name)
            for ref in value.refs() if value is not None else ():
                fields.setdefault(ref, name)
        return fields

    @property
    def hashes_rows(self) -> bool:
        """Whether an order number is made of the whole row."""
        return isinstance(self.order_no, Hash) and self.order_no.hash == "row"
