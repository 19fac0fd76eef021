"""Small files that people write for a command: rows with named columns, in CSV and UTF-8."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from services.cli.refusals import Refused, unreadable

R = TypeVar("R")

YES = {"yes", "true", "1", "是"}
NO = {"no", "false", "0", "否", ""}
COUNT_DIGITS_MAX = 12


def read_rows(
    file: Path, columns: Sequence[str], read: Callable[[Mapping[str, str]], R], most: int = 5000
) -> Iterator[R]:
    """What `read` makes of each row; a Refused of it names file and line."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as source:
            reader = csv.DictReader(source)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise Refused(
                    "{file} has no column {missing}; add it.",
                    "{file} 缺少列 {missing}; 请补充。",
                    file=file,
                    missing=tuple(missing),
                )
            for count, row in enumerate(reader, start=1):
                if count > most:
                    raise _too_many(file, most)
                yield _in_line(file, reader.line_num, row, columns, read)
    except OSError as error:
        raise unreadable(file, error) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise Refused(
            "{file} is not CSV in UTF-8; save it as CSV in UTF-8.",
            "{file} 不是 UTF-8 编码的 CSV; 请另存为 UTF-8 编码的 CSV。",
            file=file,
        ) from error


def count_in(text: str) -> int:
    """A count of 0 or more. Raises Refused."""
    if not (text.isascii() and text.isdigit() and len(text) <= COUNT_DIGITS_MAX):
        raise Refused(
            "{text} is not a count; write digits only.",
            "{text} 不是数量; 请只填写数字。",
            text=repr(text),
        )
    return int(text)


def yes_in(text: str) -> bool:
    """Yes or no. Raises Refused."""
    if text.lower() in YES:
        return True
    if text.lower() in NO:
        return False
    raise Refused(
        "{text} is neither yes nor no; write one of them.",
        "{text} 既非是也非否; 请填写其一。",
        text=repr(text),
    )


def _in_line(
    file: Path,
    number: int,
    row: Mapping[str, str | None],
    columns: Sequence[str],
    read: Callable[[Mapping[str, str]], R],
) -> R:
    try:
        return read({name: (row[name] or "").strip() for name in columns})
    except Refused as refusal:
        raise Refused(
            f"{file}, line {number}: {refusal.sentence}",
            f"{file} 第 {number} 行: {refusal.sentence_zh}",
        ) from refusal


def _too_many(file: Path, most: int) -> Refused:
    return Refused(
        "{file} has more than {most} lines; send them in several files.",
        "{file} 超过 {most} 行; 请分成多个文件。",
        file=file,
        most=most,
    )
