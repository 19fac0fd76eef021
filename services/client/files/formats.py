"""The formats of files of orders: which one a file has, and what its reader's errors mean."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from services.client.error_words import NAME_NOT_UTF8, library_words, os_words
from services.client.files.column_files import read_arrow, read_parquet
from services.client.files.columns import Ref
from services.client.files.csv_files import ROW_BYTES_MAX, read_csv
from services.client.files.faults import FileFault, Unreadable
from services.client.files.json_files import read_json, read_ndjson
from services.client.files.mapping import FileForm
from services.client.files.pieces import Piece
from services.client.files.regular_files import require_regular
from services.client.files.text_streams import PACKINGS
from services.kernel.phrases import Phrase

KINDS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".xlsx": "xlsx",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "json",
}
TEXT_KINDS = frozenset({"csv", "tsv", "ndjson", "json"})

Reader = Callable[..., Iterator[Piece]]


def pieces(
    path: Path, form: FileForm, fields: Mapping[Ref, str], *, whole: bool = False
) -> Iterator[Piece]:
    """The rows of a file with the columns of `fields`, in the file's types. Raises Unreadable.

    With `whole` each piece has all cells of a row as one text too.
    """
    require_regular(path)
    kind = kind_of(path, form)
    last = 0
    try:
        for piece in _reader(kind)(path, form, fields, whole=whole):
            yield piece
            last = piece.rows[-1].as_py() if len(piece.rows) else last
    except FileNotFoundError as error:
        raise Unreadable(FileFault.NO_FILE) from error
    except MemoryError as error:
        raise Unreadable(FileFault.MEMORY) from error
    except OSError as error:
        if not error.errno:  # of a library
            raise _refusal(error, kind, last) from error
        raise Unreadable(FileFault.NOT_OPENED, reason=os_words(error)) from error
    except (pa.ArrowException, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise _refusal(error, kind, last) from error


def kind_of(path: Path, form: FileForm) -> str:
    """The kind of file: as the mapping says, or by its suffix. Raises Unreadable."""
    name = path.name.lower()
    packing = path.suffix.lower() if path.suffix.lower() in PACKINGS else ""
    suffix = Path(name.removesuffix(packing)).suffix
    kind = form.format or KINDS.get(suffix)
    if kind is None:
        raise Unreadable(
            FileFault.UNKNOWN_KIND,
            suffix=path.suffix or Phrase("NO_SUFFIX", "no suffix", "没有后缀的名称"),
            known=tuple(KINDS),
        )
    if packing and kind not in TEXT_KINDS:
        raise Unreadable(FileFault.PACKED, suffix=suffix or kind)
    return kind


def _reader(kind: str) -> Reader:
    if kind == "xlsx":
        try:
            from services.client.files.sheets import read_sheet  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise Unreadable(FileFault.LIBRARY_MISSING, extra="xlsx") from error
        return read_sheet
    return _READERS[kind]


def _refusal(error: Exception, kind: str, row: int) -> Unreadable:
    """What the error of a reader means for the file."""
    is_text = kind in TEXT_KINDS
    if isinstance(error, UnicodeDecodeError):
        # Names and time zones that are not UTF-8 fail only when they are used.
        return Unreadable(FileFault.DAMAGED, kind=kind, reason=NAME_NOT_UTF8)
    if is_text and "straddling" in str(error):
        return Unreadable(FileFault.LONG_LINE, mebibytes=ROW_BYTES_MAX >> 20, row=row)
    return Unreadable(FileFault.DAMAGED, kind=kind, reason=library_words(error))


_READERS: dict[str, Reader] = {
    "parquet": read_parquet,
    "csv": read_csv,
    "tsv": read_csv,
    "arrow": read_arrow,
    "ndjson": read_ndjson,
    "json": read_json,
}
