"""A mapping proposed from the beginning of a file, with what was guessed and why.

A proposal is a text for a person: each guess has a comment, and what nothing in the file says is
left to be filled in, so that an unfinished proposal is refused with the name of what it lacks.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from services.client.error_words import library_words
from services.client.files.faults import FileFault, Unreadable
from services.client.files.form_guesses import FormGuess, guess_form, is_day, is_time
from services.client.files.order_files import Proposal
from services.client.files.remarks import Remark
from services.client.files.samples import Sample, sample_of
from services.client.files.vocabulary import (
    INDUSTRY_HINTS,
    STATE_WORDS,
    field_of,
    plain_name,
)
from services.kernel.identifiers import is_credit_code

ZONE = "Asia/Shanghai"
_MOMENTS = ("accept_time", "pick_up_time", "end_time")
_WORDS_MAX = 30
_UNITS_ZH = {"seconds": "秒数", "minutes": "分钟数"}
_SHOWN_MAX = 40
# Degrees of longitude and latitude that lie in China.
_CHINA = ((73.0, 136.0), (3.0, 54.0))


@dataclass
class _Draft:
    """A proposal that is being made: its lines by table."""

    sample: Sample
    file_name: str
    chosen: dict[str, str]
    columns: list[str] = field(default_factory=list)
    moments: list[str] = field(default_factory=list)
    meanings: dict[str, list[str]] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)
    missing: list[Remark] = field(default_factory=list)
    guessed: list[Remark] = field(default_factory=list)

    def lacks(self, en: str, zh: str) -> None:
        """Note what the file does not say."""
        self.missing.append(Remark(en, zh))

    def guesses(self, en: str, zh: str) -> None:
        """Note what was guessed, and why."""
        self.guessed.append(Remark(en, zh))

    def ref(self, name: str) -> str:
        """A column as the mapping names it: by header, or by position if that is not enough."""
        sample = self.sample
        if not sample.has_header or not name or sample.names.count(name) > 1:
            return f"{{ position = {sample.names.index(name) + 1} }}"
        return json.dumps(name, ensure_ascii=False)

    def examples(self, name: str) -> str:
        """Some cells of a column, for a comment."""
        values = list(dict.fromkeys(self.sample.values(name)))[:2]
        shown = [_printable(value) for value in values]
        return f"such as {', '.join(shown)}" if shown else "empty in the first rows"


def propose(path: Path) -> Proposal:
    """A mapping for a file, from its first rows. Raises Unreadable."""
    try:
        sample = sample_of(path)
    except MemoryError as error:
        raise Unreadable(FileFault.MEMORY) from error
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        kind = path.suffix.lstrip(".")
        raise Unreadable(FileFault.DAMAGED, kind=kind, reason=library_words(error)) from error
    draft = _Draft(sample, path.name, chosen_columns(sample.names))
    _platform(draft)
    _industry(draft)
    _numbers(draft)
    _moments(draft)
    _state(draft)
    for name in ("reason", "revision"):
        if name in draft.chosen:
            column = draft.chosen[name]
            draft.columns.append(f"{name} = {draft.ref(column)}  # {draft.examples(column)}")
    _place(draft)
    return Proposal(_text(draft), draft.missing, draft.guessed)


def chosen_columns(names: Sequence[str]) -> dict[str, str]:
    """The column of each field: the one whose header names it best."""
    best: dict[str, tuple[int, str]] = {}
    for name in names:
        named = field_of(name)
        if named is not None and (named[0] not in best or named[1] < best[named[0]][0]):
            best[named[0]] = (named[1], name)
    return {field_name: name for field_name, (_, name) in best.items()}


def _platform(draft: _Draft) -> None:
    column = draft.chosen.get("platform")
    if column is None:
        draft.lacks(
            "platform: your unified social credit code", "`platform`: 本企业的统一社会信用代码"
        )
        draft.columns.append('platform = { constant = "" }  # FILL IN: your credit code')
        return
    draft.columns.append(f"platform = {draft.ref(column)}  # {draft.examples(column)}")
    labels = list(dict.fromkeys(value.strip() for value in draft.sample.values(column)))
    if all(is_credit_code(word) for word in labels):
        return
    draft.meanings["platform"] = [
        f'{json.dumps(word, ensure_ascii=False)} = ""  # FILL IN: the credit code'
        for word in labels[:_WORDS_MAX]
    ]
    draft.lacks(
        "words.platform: the credit code behind each name",
        "`words.platform`: 每个名称对应的统一社会信用代码",
    )


def _industry(draft: _Draft) -> None:
    """By the words of headers and of the file's name; a person has to check it."""
    names = " ".join([*draft.sample.names, draft.file_name]).casefold()
    hits = Counter(
        {
            industry: sum(hint in names for hint in hints)
            for industry, hints in INDUSTRY_HINTS.items()
        }
    )
    (industry, count), (_, second) = hits.most_common(2)
    if count > second:
        draft.columns.append(
            f'industry = {{ constant = "{industry}" }}  # guessed from the headers: check it'
        )
        draft.guesses(
            f"industry {industry}, from the words of the headers",
            f"行业 `{industry}`, 依据表头",
        )
        return
    draft.lacks(
        f"industry: one of {', '.join(INDUSTRY_HINTS)}",
        f"`industry`: 以下之一: `{'`、`'.join(INDUSTRY_HINTS)}`",
    )
    draft.columns.append(
        f'industry = {{ constant = "" }}  # FILL IN: one of {", ".join(INDUSTRY_HINTS)}'
    )


def _numbers(draft: _Draft) -> None:
    for name, what in (("order_no", "number of the order"), ("worker", "number of the worker")):
        column = draft.chosen.get(name)
        if column is None and name == "order_no":
            draft.columns.append(
                'order_no = { hash = "row" }  # no column is a number of the order'
            )
            draft.guesses(
                "order_no is made of the whole row, since no column names it",
                "没有订单号列, `order_no` 由整行内容生成",
            )
        elif column is None:
            draft.lacks(
                f"{name}: no column looks like the {what}", f"`{name}`: 没有类似人员编号的列"
            )
            draft.columns.append(f"# {name} = FILL IN: no column looks like the {what}")
        else:
            draft.columns.append(_number(draft, name, column))


def _number(draft: _Draft, name: str, column: str) -> str:
    """A number; one that always has the same length and may begin with 0 shows lost zeros."""
    values = [value.strip() for value in draft.sample.values(column)]
    widths = {len(value) for value in values}
    comment = f"  # {draft.examples(column)}"
    has_zeros = any(value.startswith("0") for value in values)
    if len(widths) == 1 and has_zeros and all(value.isdecimal() for value in values):
        digits = widths.pop()
        draft.guesses(
            f"{name} always has {digits} digits, as in the first rows",
            f"`{name}` 固定为 {digits} 位数字, 依据前几行",
        )
        ref = draft.ref(column)
        inner = ref[2:-2] if ref.startswith("{") else f"column = {ref}"
        return f"{name} = {{ {inner}, digits = {digits} }}{comment}"
    return f"{name} = {draft.ref(column)}{comment}"


def _moments(draft: _Draft) -> None:
    guesses: list[FormGuess] = []
    for name in _MOMENTS:
        column = draft.chosen.get(name)
        if column is not None:
            line, guess = _moment(draft, name, column)
            draft.columns.append(line)
            guesses += [guess] if guess is not None else []
        elif name == "end_time":
            _end(draft)
        elif name == "accept_time":
            draft.lacks(
                "accept_time: no column looks like the time of acceptance",
                "`accept_time`: 没有类似接单时间的列",
            )
            draft.columns.append("# accept_time = FILL IN: no column looks like it")
    _forms(draft, guesses)


def _moment(draft: _Draft, name: str, column: str) -> tuple[str, FormGuess | None]:
    values = draft.sample.values(column)
    comment = f"  # {draft.examples(column)}"
    if column in draft.sample.typed:
        return f"{name} = {draft.ref(column)}{comment}", None
    day, time = draft.chosen.get("date"), draft.chosen.get("time")
    if values and all(map(is_time, values)) and day is not None:
        days = draft.sample.values(day)
        joined = [f"{one} {two}" for one, two in zip(days, values, strict=False)]
        line = f"{name} = {{ date = {draft.ref(day)}, time = {draft.ref(column)} }}{comment}"
        return line, guess_form(joined)
    if values and all(map(is_day, values)) and time is not None and name == "accept_time":
        joined = [
            f"{one} {two}" for one, two in zip(values, draft.sample.values(time), strict=False)
        ]
        line = f"{name} = {{ date = {draft.ref(column)}, time = {draft.ref(time)} }}{comment}"
        return line, guess_form(joined)
    if values and all(map(is_day, values)):
        draft.lacks(
            f"{name}: {column} holds days without a time; name another column",
            f"`{name}`: 列 {column} 只有日期没有时刻, 请另外指定列",
        )
    return f"{name} = {draft.ref(column)}{comment}", guess_form(values)


def _end(draft: _Draft) -> None:
    """Without a column of the end: a length of time after the acceptance."""
    unit = next((unit for unit in ("seconds", "minutes") if unit in draft.chosen), None)
    if unit is None:
        draft.lacks(
            "end_time: no column looks like the end of an order",
            "`end_time`: 没有类似订单结束时间的列",
        )
        draft.columns.append("# end_time = FILL IN: no column looks like it")
        return
    column = draft.chosen[unit]
    draft.columns.append(
        f'end_time = {{ after = "accept_time", {unit} = {draft.ref(column)} }}'
        f"  # {draft.examples(column)}"
    )
    draft.guesses(
        f"end_time lies {unit} of {column} after accept_time",
        f"`end_time` 为 `accept_time` 加上列 {column} 的{_UNITS_ZH[unit]}",
    )


def _forms(draft: _Draft, guesses: Sequence[FormGuess]) -> None:
    """What `[moments]` says: the form of most columns, the zone, the year."""
    known = Counter(guess.form for guess in guesses if guess.is_known)
    if any(not guess.is_known for guess in guesses):
        draft.lacks(
            "moments.form: the form of the times was not recognised",
            "`moments.form`: 未能识别时间格式",
        )
        draft.moments.append('# form = FILL IN: such as "%d.%m.%Y %H:%M"')
    elif known and known.most_common(1)[0][0]:
        form = known.most_common(1)[0][0]
        draft.moments.append(f"form = {json.dumps(form, ensure_ascii=False)}")
        draft.guesses(
            f'form "{form}", which all first rows have', f"时间格式 `{form}`, 前几行均如此"
        )
        if len(known) > 1:
            forms = ", ".join(map(repr, known))
            draft.lacks(
                f"moments.form: columns differ: {forms}", f"`moments.form`: 各列格式不同: {forms}"
            )
    for guess in guesses:
        draft.guessed += [guess.note] if guess.note else []
    if any(guess.needs_year for guess in guesses):
        draft.lacks("moments.year: the times have no year", "`moments.year`: 时间中没有年份")
        draft.moments.append("# year = FILL IN: the times have none")
    if any(guess.needs_zone for guess in guesses):
        draft.moments.append(f'zone = "{ZONE}"  # guessed: the times name none, check it')
        draft.guesses(f"zone {ZONE}, since the times name none", f"时区 `{ZONE}`, 因时间中没有时区")


def _state(draft: _Draft) -> None:
    column = draft.chosen.get("state")
    if column is None:
        return
    draft.columns.append(f"state = {draft.ref(column)}  # {draft.examples(column)}")
    labels = list(dict.fromkeys(value.strip() for value in draft.sample.values(column)))
    lines = []
    for word in labels[:_WORDS_MAX]:
        meaning = STATE_WORDS.get(plain_name(word))
        if meaning is None:
            draft.lacks(
                f"words.state: what {_printable(word)!r} means",
                f"`words.state`: {_printable(word)!r} 的含义",
            )
        if meaning != word.upper():
            comment = "" if meaning else "  # FILL IN: ACCEPTED, COMPLETED, CANCELLED or REVERSED"
            lines.append(f'{json.dumps(word, ensure_ascii=False)} = "{meaning or ""}"{comment}')
    if lines:
        draft.meanings["state"] = lines


def _place(draft: _Draft) -> None:
    chosen = draft.chosen
    parts = [
        f"{name} = {draft.ref(chosen[name])}"
        for name in ("adcode", "pooling_area")
        if name in chosen
    ]
    has_coordinates = "lng" in chosen and "lat" in chosen
    if has_coordinates:
        parts += [f"{name} = {draft.ref(chosen[name])}" for name in ("lng", "lat")]
    if not parts:
        draft.lacks(
            "place: no column looks like a place of acceptance", "`place`: 没有类似接单地的列"
        )
        draft.columns.append(
            '# place = FILL IN: no column looks like it; { adcode = { constant = "440100" } }'
            " if all orders are of one pooling area"
        )
        return
    draft.columns.append(f"place = {{ {', '.join(parts)} }}")
    if has_coordinates:
        _coordinates(draft, needs_areas="adcode" not in chosen and "pooling_area" not in chosen)


def _coordinates(draft: _Draft, *, needs_areas: bool) -> None:
    numbers = [_numbers_of(draft.sample.values(draft.chosen[name])) for name in ("lng", "lat")]
    largest = max((abs(number) for one in numbers for number in one), default=0.0)
    scale = 1_000_000 if largest > 1000 else 1
    if scale > 1:
        draft.places.append(f"per_degree = {scale}  # the coordinates are whole numbers")
        draft.guesses("coordinates count millionths of a degree", "坐标以百万分之一度为单位")
    inside = [
        low < number / scale < high
        for one, (low, high) in zip(numbers, _CHINA, strict=True)
        for number in one
        if number
    ]
    if inside and all(inside):
        draft.places.append('datum = "GCJ-02"  # guessed, as maps in China use; or WGS84, BD-09')
        draft.guesses(
            "datum GCJ-02, usual for coordinates of maps in China", "坐标系 `GCJ-02`, 国内地图通用"
        )
    draft.places.append('# polygons = { file = "districts.geojson", code = "adcode" }')
    if needs_areas:
        draft.lacks(
            "places: polygons or centres of the pooling areas", "`places`: 统筹地区的多边形或中心点"
        )
        draft.places += [
            "# FILL IN polygons above, or centres:",
            "# within_km = 40.0",
            "# [[places.centres]]",
            '# pooling_area = "440100"',
            "# lat = 23.1291",
            "# lng = 113.2644",
        ]


def _printable(text: str) -> str:
    """A cell as it may stand in a comment."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:_SHOWN_MAX])


def _numbers_of(values: Sequence[str]) -> list[float]:
    texts = [value.strip().replace(",", ".") for value in values]
    return [float(text) for text in texts if re.fullmatch(r"[+-]?\d+(\.\d+)?", text)]


def _text(draft: _Draft) -> str:
    lines = [f"# Proposed for {draft.file_name}; check what is guessed, fill in what is missing."]
    if draft.sample.file:
        lines += ["", "[file]"]
        for key, value in draft.sample.file.items():
            note = draft.sample.notes.get(key, "")
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}  # {note}")
    lines += ["", "[columns]", *draft.columns]
    if draft.moments:
        lines += ["", "[moments]", *draft.moments]
    for name, meanings in draft.meanings.items():
        lines += ["", f"[words.{name}]", *meanings]
    if draft.places:
        lines += ["", "[places]", *draft.places]
    return "\n".join(lines) + "\n"
