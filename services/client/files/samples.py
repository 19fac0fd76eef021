"""The beginning of a file whose form nobody described: its columns and some rows as texts."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from services.client.files.faults import FileFault, Unreadable
from services.client.files.formats import kind_of
from services.client.files.json_files import arrays_in, json_rows, paths_in, value_at
from services.client.files.mapping import FileForm
from services.client.files.regular_files import require_regular
from services.client.files.text_streams import PACKINGS, TextStream
from services.client.files.vocabulary import field_of

ROWS_MAX = 500
_HEAD_BYTES = 256 << 10
_SEPARATORS = (",", "\t", ";", "|")
_HEADER_LINES_MAX = 20
_SUFFIXES_OF_TEXT = frozenset({".txt", ".dat", ".log", ""})
_NOT_A_NAME = re.compile(r"\s*[\d:.,/+-]*\s*")
Rows = list[list[str]]


@dataclass
class Sample:
    """Columns and rows of a file, and what `[file]` has to say so that they are read."""

    names: list[str]
    rows: Rows
    file: dict[str, Any] = field(default_factory=dict)
    # Why each of these was chosen.
    notes: dict[str, str] = field(default_factory=dict)
    # Columns that hold moments as a type, which need no form.
    typed: frozenset[str] = frozenset()
    has_header: bool = True

    def values(self, name: str) -> list[str]:
        """The cells of a column that are not empty."""
        place = self.names.index(name)
        return [row[place] for row in self.rows if place < len(row) and row[place].strip()]


def sample_of(path: Path) -> Sample:
    """The beginning of a file. Raises Unreadable."""
    require_regular(path)
    packing = path.suffix if path.suffix.lower() in PACKINGS else ""
    suffix = Path(path.name.removesuffix(packing)).suffix.lower()
    if suffix in _SUFFIXES_OF_TEXT:
        sample = _of_csv(path, "csv")
        sample.file["format"] = "csv"
        sample.notes["format"] = "the suffix does not say it"
        return sample
    kind = kind_of(path, FileForm())
    if kind in {"csv", "tsv"}:
        return _of_csv(path, kind)
    if kind in {"ndjson", "json"}:
        return _of_json(path, kind)
    return _of_sheet(path) if kind == "xlsx" else _of_columns(path, kind)


def _of_csv(path: Path, kind: str) -> Sample:
    encoding, why = guess_encoding(_raw_head(path))
    stream = TextStream(path, encoding)
    text = stream.head(_HEAD_BYTES).decode("utf-8", "ignore")
    stream.close()
    if not text.strip():
        raise Unreadable(FileFault.EMPTY_FILE)
    separator, width = guess_separator(text)
    rows = list(islice(csv.reader(text.splitlines(keepends=True), delimiter=separator), ROWS_MAX))
    # The head may end within a row.
    rows = rows[:-1] if len(rows) > 1 and len(text) >= _HEAD_BYTES // 4 else rows
    sample = _with_header(rows)
    if encoding not in {"", "utf-8"}:
        sample.file["encoding"], sample.notes["encoding"] = encoding, why
    if separator != ("\t" if kind == "tsv" else ","):
        sample.file["separator"] = separator
        sample.notes["separator"] = f"cuts the rows into {width} cells"
    return sample


def _of_json(path: Path, kind: str) -> Sample:
    form = FileForm()
    file: dict[str, Any] = {}
    if kind == "json":
        arrays = arrays_in(path, form)
        if arrays and "" not in arrays:
            form = FileForm(path=arrays[0])
            file["path"] = arrays[0]
    objects = [row for _, row in islice(json_rows(path, form, kind), ROWS_MAX)]
    objects = [row for row in objects if isinstance(row, dict)]
    names = list(dict.fromkeys(name for row in objects[:50] for name in paths_in(row)))
    notes = {"path": "the first array of objects in the file"} if file else {}
    return Sample(
        names, [[_json_cell(row, name) for name in names] for row in objects], file, notes
    )


def _json_cell(row: Any, name: str) -> str:
    try:
        value = value_at(row, name)
    except (KeyError, IndexError):
        return ""
    return "" if value is None else str(value)


def _of_sheet(path: Path) -> Sample:
    try:
        from services.client.files.sheets import rows_of_sheet  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise Unreadable(FileFault.LIBRARY_MISSING, extra="xlsx") from error
    with closing(rows_of_sheet(path, FileForm())) as rows:
        return _with_header([[cell or "" for cell in row] for row in islice(rows, ROWS_MAX)])


def _of_columns(path: Path, kind: str) -> Sample:
    if kind == "parquet":
        with pyarrow.parquet.ParquetFile(path) as file:
            batch = next(file.iter_batches(ROWS_MAX), None)
            schema = file.schema_arrow
    else:
        with pa.memory_map(str(path)) as source:
            try:
                reader = pa.ipc.open_file(source)
                batch = reader.get_batch(0) if reader.num_record_batches else None
            except pa.ArrowInvalid:
                source.seek(0)
                reader = pa.ipc.open_stream(source)
                batch = next(iter(reader), None)
            schema = reader.schema
    rows = [] if batch is None else batch.slice(0, ROWS_MAX).to_pylist()
    names = list(dict.fromkeys(name for row in rows[:50] for name in paths_in(row))) or schema.names
    typed = frozenset(one.name for one in schema if pa.types.is_timestamp(one.type))
    return Sample(names, [[_json_cell(row, name) for name in names] for row in rows], typed=typed)


def guess_encoding(head: bytes) -> tuple[str, str]:
    """The encoding of a text by its first bytes, empty for the default, and why."""
    if head.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "", ""
    if _decodes(head, "utf-8") and b"\0" not in head[:1000]:
        return "", ""
    if b"\0" in head[:1000]:
        is_little = head[1:1000:2].count(b"\0") >= head[0:1000:2].count(b"\0")
        return "utf-16-le" if is_little else "utf-16-be", "every second byte is zero"
    likely = {
        name: _known_headers(head, codec)
        for name, codec in (("gb18030", "gb18030"), ("big5", "big5hkscs"))
        if _decodes(head, codec)
    }
    if not likely:
        return "windows-1252", "it is neither UTF-8 nor a Chinese encoding"
    best = max(likely, key=lambda name: likely[name])
    return best, f"it is not UTF-8; as {best} {likely[best]} headers are known"


def guess_separator(text: str) -> tuple[str, int]:
    """The sign that cuts most rows into the same number of cells, the more the better."""
    lines = text.splitlines(keepends=True)[:100]
    best, best_width, best_score = ",", 1, 0
    for separator in _SEPARATORS:
        try:
            widths = Counter(len(row) for row in csv.reader(lines, delimiter=separator) if row)
        except csv.Error:
            continue
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
        score = count * (width - 1)
        if score > best_score:
            best, best_width, best_score = separator, width, score
    return best, best_width


def _with_header(rows: Rows) -> Sample:
    """The rows after the header, which is the row with most known names, or the first of names."""
    known = [sum(field_of(cell) is not None for cell in row) for row in rows[:_HEADER_LINES_MAX]]
    line = max(range(len(known)), key=lambda at: (known[at], -at), default=0)
    if not known or (not known[line] and not _are_names(rows[line])):
        width = max((len(row) for row in rows), default=0)
        names = [str(place + 1) for place in range(width)]
        sample = Sample(names, rows, {"header": 0}, has_header=False)
        sample.notes["header"] = "the first row looks like an order, not like names"
        return sample
    sample = Sample(
        [name.strip() for name in rows[line]], [row for row in rows[line + 1 :] if any(row)]
    )
    if line:
        sample.file["header"] = line + 1
        sample.notes["header"] = f"the row in which {known[line]} headers are known"
    return sample


def _are_names(row: Sequence[str]) -> bool:
    """Whether cells are names: none is a number or a time."""
    cells = [cell for cell in row if cell.strip()]
    return bool(cells) and not any(_NOT_A_NAME.fullmatch(cell) for cell in cells)


def _known_headers(head: bytes, codec: str) -> int:
    line = re.split(r"[\r\n]", head.decode(codec, "ignore"), maxsplit=1)[0]
    return sum(field_of(cell) is not None for cell in re.split(r"[,;\t|]", line))


def _decodes(head: bytes, codec: str) -> bool:
    try:
        codecs.getincrementaldecoder(codec)().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _raw_head(path: Path) -> bytes:
    """The first bytes of a file, unpacked."""
    with pa.input_stream(str(path), compression=PACKINGS.get(path.suffix.lower())) as source:
        head: bytes = source.read(_HEAD_BYTES)
        return head
