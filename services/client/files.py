"""Files of orders, read by a program apart: what breaks it or fills its memory is a sentence here.

A damaged or harmful file may unfold to ten thousand times its size, and readers of such formats
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

# The reader's first line, before the table, and its last; any other says what is wrong.
TABLE, END = b"table\n", b"end\n"


class OrderFileUnreadable(Problem):
    """The file of orders cannot be read."""

    kind, reason = Kind.MALFORMED, "ORDER_FILE_UNREADABLE"
    message = "The file {file} cannot be read as orders: {what}."
    message_zh = "文件 {file} 无法作为订单读取: {what}。"


def read_file(path: Path, zone: str = "", encoding: str = "utf-8") -> Iterator[pa.Table]:
    """The file's columns that are of use (`columns.KINDS`), in its order and a piece at a time.

    `zone` is that of moments which are written without one; without it they are refused. Raises
    OrderFileUnreadable, whatever the file does to its reader; what came before stands.
    """
    with subprocess.Popen(  # noqa: S603 - the path is one argument of a program of ours
        [sys.executable, "-m", "services.client.file_reader", str(path), zone, encoding],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={
            "PYTHONPATH": os.pathsep.join(found for found in sys.path if found),
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
        ended = reader.wait()
    what = line.decode(errors="replace").strip() or f"the program that reads it {_end(ended)}"
    raise OrderFileUnreadable(file=path.name, what=what)


def _end(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else "ended without an answer"
