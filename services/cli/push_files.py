"""What a push keeps next to its file: the receipts so far, and the rows that were refused."""

from __future__ import annotations

import csv
import hashlib
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from oip.orders.v1 import orders_pb2
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.cli.refusals import Refused, unreadable
from services.client.error_words import os_words
from services.client.files.summary import RowWithFault

REJECTED_HEADER = (
    "file_row",
    "platform",
    "batch",
    "order_no",
    "status",
    "field",
    "text",
    "text_zh",
)


class Receipt(BaseModel):
    """A batch's receipt, as the state file keeps it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    received: int
    created: int
    exists: int
    conflict: int
    rejected: int
    reasons: dict[str, int]
    root: str
    log_index: int

    @classmethod
    def of(cls, batch: orders_pb2.OrderBatch) -> Receipt:
        """The part of a receipt that is kept."""
        return cls(
            received=batch.received_count,
            created=batch.created_count,
            exists=batch.exists_count,
            conflict=batch.conflict_count,
            rejected=batch.rejected_count,
            reasons={
                status_name(count.status): count.row_count for count in batch.rejected_by_reason
            },
            root=batch.merkle_root.hex(),
            log_index=batch.log_index,
        )

    @property
    def refused_count(self) -> int:
        """Rows not stored: rejected, or in conflict with the stored content of the same number."""
        return self.rejected + self.conflict


class State(BaseModel):
    """The progress of a file: its run, and the receipts by platform and batch id."""

    model_config = ConfigDict(extra="forbid")

    run: str
    # SHA-256 of the file, and of the content of the mapping.
    digest: str
    mapping: str
    finished: bool = False
    done: dict[str, dict[str, Receipt]] = Field(default_factory=dict)
    # Whether a push with another mapping was interrupted: the rows may differ now.
    other_mapping: bool = Field(default=False, exclude=True)

    @classmethod
    def of(cls, file: Path, mapping_digest: str) -> State:
        """The state of an interrupted push of the same file and mapping, or a new one."""
        try:
            with file.open("rb") as source:
                digest = hashlib.file_digest(source, "sha256").hexdigest()
        except OSError as error:
            raise unreadable(file, error) from error
        fresh = cls(run=secrets.token_hex(6), digest=digest, mapping=mapping_digest)
        path = state_path(file)
        try:
            stored = cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return fresh
        except OSError as error:
            raise unreadable(path, error) from error
        except ValidationError as error:
            raise Refused(
                "{path} is not the state of a push; move it away to send the file from its "
                "beginning.",
                "{path} 不是推送的进度文件; 请将其移走, 文件将从头发送。",
                path=path,
            ) from error
        if stored.finished or stored.digest != digest:
            return fresh
        fresh.other_mapping = stored.mapping != mapping_digest
        return fresh if fresh.other_mapping else stored

    def save(self, file: Path) -> None:
        """Write the state next to its file, whole or not at all."""
        path = state_path(file)
        draft = path.with_name(f"{path.name}.draft")
        with _writing(path):
            draft.write_text(self.model_dump_json(indent=1), encoding="utf-8")
            draft.replace(path)


class Rejected:
    """The rows that were refused: `{file.name}.rejected.csv`."""

    def __init__(self, path: Path, sink: TextIO) -> None:
        self._path = path
        self._writer = csv.writer(sink)
        self.write([REJECTED_HEADER])

    def write(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add rows."""
        with _writing(self._path):
            self._writer.writerows(rows)

    def write_wrong(self, rows: Iterable[RowWithFault]) -> None:
        """Add rows of the file that are no orders and were never sent."""
        self.write(
            (
                row.row,
                "",
                "",
                harmless(row.order_no),
                row.fault.name,
                row.field,
                row.sentence,
                row.sentence_zh,
            )
            for row in rows
        )


@contextmanager
def rejected_list(file: Path) -> Iterator[Rejected]:
    """A new list of refused rows; the previous one is kept until this one is complete."""
    path = rejected_path(file)
    draft = path.with_name(f"{path.name}.draft")
    with _writing(path):
        sink = draft.open("w", encoding="utf-8", newline="")
    try:
        with sink:
            yield Rejected(path, sink)
            with _writing(path):
                sink.flush()
        with _writing(path):
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def harmless(text: str) -> str:
    """A cell that a spreadsheet does not execute as a formula."""
    return f"'{text}" if text[:1] in set("=+-@\t\r") else text


def state_path(file: Path) -> Path:
    """The state file."""
    return file.with_name(f"{file.name}.push.json")


def rejected_path(file: Path) -> Path:
    """The list of refused rows."""
    return file.with_name(f"{file.name}.rejected.csv")


def status_name(number: int) -> str:
    """A refused row's status, as the proto names it."""
    return orders_pb2.OrderRejection.Status.Name(number)  # type: ignore[arg-type]


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(
            "{path} cannot be written: {what}; free space or grant access, and push again: what "
            "was sent stays stored.",
            "无法写入 {path}: {what}; 请清理磁盘或授予权限后重新推送: 已发送的内容仍有效。",
            path=path,
            what=os_words(error),
        ) from error
