"""Files of orders, read in a separate program: if a file breaks it, the user gets one sentence.

A damaged or harmful file may expand to ten thousand times its size, and readers of such formats
have crashed before.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from services.client.error_words import name_of
from services.client.files.faults import FileFault, OrderFileUnreadable, Reason, Unreadable
from services.client.files.mapping import FileMapping
from services.client.files.remarks import Remark
from services.kernel.phrases import Phrase

# The reader's first line, before the table, and its last; any other line says what is wrong.
TABLE, END = b"table\n", b"end\n"
READER = f"{__package__}.file_reader"
PROPOSER = f"{__package__}.proposal_reader"


@dataclass(frozen=True)
class Proposal:
    """The text of a mapping, and what a person has to fill in or check."""

    text: str
    missing: list[Remark] = field(default_factory=list)
    guessed: list[Remark] = field(default_factory=list)

    @classmethod
    def read(cls, text: bytes) -> Proposal:
        """The proposal that the proposing program wrote. Raises TypeError and ValueError."""
        answer = json.loads(text)
        missing = [Remark(**row) for row in answer.pop("missing", [])]
        guessed = [Remark(**row) for row in answer.pop("guessed", [])]
        return cls(**answer, missing=missing, guessed=guessed)


def read_rows(path: Path, mapping: FileMapping) -> Iterator[pa.Table]:
    """The rows of the file in its order, a piece at a time: orders, and wrong rows.

    The columns are those of `wrong_rows.SCHEMA`; `fault` is null for an order. Raises
    OrderFileUnreadable, whatever the file does to its reader; earlier pieces stay valid.
    """
    with subprocess.Popen(  # noqa: S603 - the path is one argument of a program of ours
        [sys.executable, "-m", READER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        _send(mapping, reader)
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
    raise OrderFileUnreadable.of(name_of(path), _reason(line, exit_code))


def propose_mapping(path: Path) -> Proposal:
    """A mapping for a file, from its first rows. Raises OrderFileUnreadable."""
    ended = subprocess.run(  # noqa: S603 - the path is one argument of a program of ours
        [sys.executable, "-m", PROPOSER, str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
        check=False,
    )
    try:
        return Proposal.read(ended.stdout)
    except (TypeError, ValueError):
        reason = _reason(ended.stdout, ended.returncode)
        raise OrderFileUnreadable.of(name_of(path), reason) from None


def _environment() -> dict[str, str]:
    return {
        "PYTHONPATH": os.pathsep.join(folder for folder in sys.path if folder),
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "PYTHONIOENCODING": "utf-8",
    }


def _send(mapping: FileMapping, reader: subprocess.Popen[bytes]) -> None:
    assert reader.stdin is not None
    try:
        reader.stdin.write(mapping.model_dump_json().encode())
        reader.stdin.close()
    except OSError:
        # A reader that is gone already says so by its exit code.
        return


def _reason(line: bytes, exit_code: int) -> Reason:
    try:
        return Reason(**json.loads(line))
    except (TypeError, ValueError):
        end = _end(exit_code)
        return Unreadable(FileFault.READER_STOPPED, end=end).reason


def _end(code: int) -> Phrase:
    if code >= 0:
        return Phrase("NO_ANSWER", "ended without an answer", "没有给出结果")
    name = signal.Signals(-code).name
    return Phrase.of("STOPPED", "was stopped by {signal}", "被 {signal} 终止", signal=name)
