"""The mapping: a TOML file that says how a platform's files are read as orders."""

from __future__ import annotations

import tomllib
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from services.client.error_words import name_of, os_words
from services.client.files.columns import Columns, DayAndTime, Moment, Span, Strict
from services.client.files.forms import FormWrong, parse_form
from services.client.files.geojson import PolygonsWrong, read_polygons
from services.client.files.mapping_faults import (
    Bilingual,
    MappingWrong,
    rule_phrase,
    syntax_phrase,
)
from services.client.files.moments import MomentRule
from services.client.files.zones import Never, Twice, zone_of
from services.kernel.identifiers import is_credit_code, is_division
from services.kernel.phrases import Phrase

INDUSTRIES = {"RIDE_HAILING": 1, "INSTANT_DELIVERY": 2, "SAME_CITY_FREIGHT": 3}
STATES = {"ACCEPTED": 1, "COMPLETED": 2, "CANCELLED": 3, "REVERSED": 4}
# The encodings that a mapping may name, and how the decoder calls them.
ENCODINGS = {
    "utf-8": "utf-8",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "gb18030": "gb18030",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "big5": "big5hkscs",
    "windows-1252": "cp1252",
}
Industry = Literal["RIDE_HAILING", "INSTANT_DELIVERY", "SAME_CITY_FREIGHT"]
State = Literal["ACCEPTED", "COMPLETED", "CANCELLED", "REVERSED"]
Datum = Literal["WGS84", "GCJ-02", "BD-09"]


def _encoding(name: str) -> str:
    if name and name.lower() not in ENCODINGS:
        known = ", ".join(ENCODINGS)
        raise Bilingual(f"is not one of {known}", f"不是以下之一: {known}")
    return name.lower()


def _zone(name: str) -> str:
    try:
        if name:
            zone_of(name)
    except ValueError:
        raise Bilingual(
            f'"{name}" is not a time zone; write one as "Asia/Shanghai" or "+08:00"',
            f'"{name}" 不是时区; 请写作 `Asia/Shanghai` 或 `+08:00`',
        ) from None
    return name


def _form(text: str) -> str:
    try:
        if text:
            parse_form(text)
    except FormWrong as wrong:
        raise Bilingual(wrong.what, wrong.what_zh) from None
    return text


def _credit_code(code: str) -> str:
    if not is_credit_code(code):
        raise Bilingual(
            f'"{code}" is not a unified social credit code of 18 characters',
            f'"{code}" 不是 18 位统一社会信用代码',
        )
    return code


def _division(code: str) -> str:
    if not is_division(code):
        raise Bilingual(
            f'"{code}" is not a division code of six digits', f'"{code}" 不是六位行政区划代码'
        )
    return code


CreditCode = Annotated[str, AfterValidator(_credit_code)]
Division = Annotated[str, AfterValidator(_division)]
Zone = Annotated[str, AfterValidator(_zone)]
FormText = Annotated[str, AfterValidator(_form)]
Mark = Annotated[str, Field(min_length=1, max_length=1)]


class FileForm(Strict):
    """`[file]`: how the file is written. Only what differs from the usual has to be said."""

    # By the suffix of its name, unless said here.
    format: Literal["csv", "tsv", "xlsx", "parquet", "arrow", "ndjson", "json"] | None = None
    # Of texts; by default UTF-8, or UTF-16 with its mark.
    encoding: Annotated[str, AfterValidator(_encoding)] = ""
    separator: Mark | None = None
    quote: Mark = '"'
    decimal: Literal[".", ","] = "."
    # The line of the header, from 1; 0 where there is none.
    header: Annotated[int, Field(ge=0, le=1000)] = 1
    # Rows after the header that are none of orders, such as units.
    skip: Annotated[int, Field(ge=0, le=1000)] = 0
    # Of a workbook; the first by default.
    sheet: str = ""
    # Of the array in a JSON file; the whole file by default.
    path: str = ""


class Moments(Strict):
    """`[moments]`: how times are written."""

    form: FormText = ""
    zone: Zone = ""
    # For forms without one.
    year: Annotated[int, Field(ge=2000, le=2099)] | None = None
    twice: Twice = "refuse"
    never: Never = "refuse"
    # Days by which all dates are moved; times of day stay.
    shift_days: Annotated[int, Field(ge=-36_500, le=36_500)] = 0


class Words(Strict):
    """`[words.…]`: what the words of a column mean."""

    platform: dict[str, CreditCode] = Field(default_factory=dict)
    industry: dict[str, Industry] = Field(default_factory=dict)
    state: dict[str, State] = Field(default_factory=dict)
    place: dict[str, Division] = Field(default_factory=dict)


class Centre(Strict):
    """The centre of a pooling area, in degrees of WGS84."""

    pooling_area: Division
    lat: Annotated[float, Field(ge=-90, le=90)]
    lng: Annotated[float, Field(ge=-180, le=180)]


class Polygons(Strict):
    """Polygons of divisions: a GeoJSON file next to the mapping."""

    file: Annotated[str, Field(min_length=1)]
    # The property of a feature that has the division code.
    code: Annotated[str, Field(min_length=1)] = "adcode"
    datum: Datum = "WGS84"
    # The features, filled in when the mapping is loaded: (code, geometry as GeoJSON).
    features: tuple[tuple[int, str], ...] = ()


class Places(Strict):
    """`[places]`: which division coordinates lie in."""

    datum: Datum = "WGS84"
    # Units per degree, for coordinates written as whole numbers.
    per_degree: Annotated[float, Field(gt=0)] = 1.0
    polygons: Polygons | None = None
    centres: tuple[Centre, ...] = ()
    # A place farther than this from every centre is unknown.
    within_km: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _centres_have_a_reach(self) -> Places:
        if bool(self.centres) != (self.within_km is not None):
            raise Bilingual(
                "needs centres and within_km together", "`centres` 与 `within_km` 须同时给出"
            )
        return self


class FileMapping(Strict):
    """How a file's rows are read as orders."""

    columns: Columns
    file: FileForm = FileForm()
    moments: Moments = Moments()
    words: Words = Words()
    places: Places = Places()

    @model_validator(mode="after")
    def _is_complete(self) -> FileMapping:
        for check in (self._moments_are_read, self._constants_are_known, self._places_are_found):
            check()
        has_names = any(ref.column for ref in self.columns.fields_by_ref())
        if self.file.header == 0 and has_names:
            raise Bilingual(
                "columns names headers, but [file] says that there is none; name positions",
                "`columns` 使用了列名, 但 `[file]` 说明没有表头; 请改用位置 (`position`)",
            )
        return self

    def _moments_are_read(self) -> None:
        for name, moment in self.columns.moments().items():
            if isinstance(moment, Span):
                continue
            try:
                rule = self.rule_of(moment)
                zone_of(rule.zone) if rule.zone else None
            except FormWrong as wrong:
                raise Bilingual(
                    f"columns.{name}.form {wrong.what}", f"columns.{name}.form {wrong.what_zh}"
                ) from None
            except ValueError:
                raise Bilingual(
                    f'columns.{name}.zone is not a time zone; write one as "Asia/Shanghai"',
                    f"`columns.{name}.zone` 不是时区; 请写作 `Asia/Shanghai`",
                ) from None
            self._require_year(name, moment, rule)

    def _require_year(self, name: str, moment: Moment | DayAndTime, rule: MomentRule) -> None:
        """Raise unless the form or the mapping gives the year, and a pair of columns a text."""
        if rule.form is None:
            return
        if not rule.form.has_year and not rule.year:
            raise Bilingual(
                f'columns.{name}: nothing gives the year: neither the form "{rule.form.text}" nor '
                "year under [moments]",
                f'`columns.{name}`: 年份无从得知: 格式 "{rule.form.text}" 与 `[moments]` 中的 '
                "`year` 都没有给出",
            )
        if isinstance(moment, DayAndTime) and rule.form.unit_us:
            raise Bilingual(
                f'columns.{name}: "{rule.form.text}" is one number, not a date and a time',
                f'`columns.{name}`: "{rule.form.text}" 是一个数字, 不是日期加时刻',
            )

    def _constants_are_known(self) -> None:
        columns = self.columns
        known: dict[str, Any] = {
            "platform": is_credit_code,
            "industry": INDUSTRIES.__contains__,
            "state": STATES.__contains__,
            "revision": lambda value: str(value).isdecimal() and int(value) >= 1,
        }
        for name, is_known in known.items():
            cell = getattr(columns, name)
            if cell is None or cell.constant is None:
                continue
            if not is_known(str(cell.constant)) and str(cell.constant) not in (
                getattr(self.words, name, {})
            ):
                raise Bilingual(
                    f'columns.{name}: the constant "{cell.constant}" is not known',
                    f'`columns.{name}`: 常量 "{cell.constant}" 无法识别',
                )
        self._constant_places_are_known()

    def _constant_places_are_known(self) -> None:
        for name, cell in self.columns.place.cells().items():
            if cell.constant is None:
                continue
            word = str(cell.constant)
            if name in {"lng", "lat"} or not (is_division(word) or word in self.words.place):
                raise Bilingual(
                    f'columns.place.{name}: the constant "{word}" is not a division code',
                    f'`columns.place.{name}`: 常量 "{word}" 不是行政区划代码',
                )

    def _places_are_found(self) -> None:
        has_coordinates = self.columns.place.lng is not None
        knows_areas = self.places.polygons is not None or bool(self.places.centres)
        if has_coordinates and not knows_areas:
            raise Bilingual(
                "columns.place has coordinates, but [places] names neither polygons nor centres "
                "that say which pooling area they lie in",
                "`columns.place` 给出了坐标, 但 `[places]` 既没有 `polygons` 也没有 `centres`, "
                "无法得知所在统筹地区",
            )

    def rule_of(self, moment: Moment | DayAndTime) -> MomentRule:
        """How a moment is written: by its own form and zone, or those under `[moments]`."""
        form = moment.form if moment.form is not None else self.moments.form
        return MomentRule(
            form=parse_form(form) if form else None,
            zone=moment.zone if moment.zone is not None else self.moments.zone,
            year=self.moments.year or 0,
            twice=self.moments.twice,
            never=self.moments.never,
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content: another digest reads a file in another way."""
        return sha256(self.model_dump_json().encode()).hexdigest()


def load_mapping(path: Path) -> FileMapping:
    """Read a mapping file and the polygons that it names. Raises MappingWrong."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        not_utf8 = Phrase("NOT_UTF8", "it is not UTF-8", "不是 UTF-8 编码")
        why = os_words(error) if isinstance(error, OSError) else not_utf8
        what = Phrase.of("NOT_READ", "it cannot be read: {why}", "文件无法读取: {why}", why=why)
        raise MappingWrong(file=name_of(path), what=what) from error
    return parse_mapping(text, path)


def parse_mapping(text: str, path: Path) -> FileMapping:
    """A mapping from its text; `path` is where it stands, or would stand."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MappingWrong(file=name_of(path), what=syntax_phrase(error, text)) from error
    try:
        mapping = FileMapping.model_validate(content)
        polygons = mapping.places.polygons
        if polygons is None:
            return mapping
        features = read_polygons(path.parent / polygons.file, polygons.code)
        filled = polygons.model_copy(update={"features": features})
        places = mapping.places.model_copy(update={"polygons": filled})
        return mapping.model_copy(update={"places": places})
    except ValidationError as error:
        raise MappingWrong(file=name_of(path), what=rule_phrase(error, content)) from None
    except PolygonsWrong as wrong:
        what = Phrase("POLYGONS", wrong.what, wrong.what_zh)
        raise MappingWrong(file=name_of(path), what=what) from None
