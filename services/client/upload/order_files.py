"""Files of orders, read in a separate program: if a file breaks it, the user gets one sentence.

A damaged or harmful file may expand to ten thousand times its size, and readers of such formats
have crashed before.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from services.kernel.problems import Kind, Problem

# The reader's first line, before the table, and its last; any other line says what is wrong.
TABLE, END = b"table\n", b"end\n"
READER = f"{__package__}.file_reader"


class OrderFileUnreadable(Problem):
    """The file of orders cannot be read."""

    kind, reason = Kind.MALFORMED, "ORDER_FILE_UNREADABLE"
    message = "The file {file} cannot be read as orders: {what}."
    message_zh = "文件 {file} 无法作为订单读取: {what}。"


def read_file(path: Path, zone: str = "", encoding: str = "utf-8") -> Iterator[pa.Table]:
    """The columns of the file that we use (`columns.KINDS`), in its order, a piece at a time.

    `zone` is the zone of moments written without one; if it is empty, such moments are refused.
    Raises OrderFileUnreadable, whatever the file does to its reader; earlier pieces stay valid.
    """
    with subprocess.Popen(  # noqa: S603 - the path is one argument of a program of ours
        [sys.executable, "-m", READER, str(path), zone, encoding],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={
            "PYTHONPATH": os.pathsep.join(folder for folder in sys.path if folder),
            "ARROW_DEFAULT_MEMORY_POOL": "system",
        },
    ) as reader:
        assert reader.stdout is not None
        line = reader.stdout.readline()
        if line == TABLE:
            try:
                with pa.ipc.open_stream(reader.stdout) as source:
                    for batch in source:
                        yield pa.Table.from_batches([batch])
                    line = reader.stdout.readline()
            except (pa.ArrowException, OSError, ValueError):
                line = b""
        if line == END:
            return
        reader.stdout.close()
        exit_code = reader.wait()
    what = line.decode(errors="replace").strip() or f"the program that reads it {_end(exit_code)}"
    raise OrderFileUnreadable(file=path.name, what=what)


def _end(code: int) -> str:
    return f"was stopped by {signal.Signals(-code).name}" if code < 0 else "ended without an answer"
