"""Rows that may be stored already: the verdict on each, and the batch that remains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from typing import Any

from services.orders.domain.batches import Rejection, Tally
from services.orders.domain.prepared_batches import PreparedBatch
from services.orders.domain.row_rules import Status


class Verdict(IntEnum):
    """The result of comparing a row with the stored records; one digit each."""

    NEW = 0
    EXISTS = 1
    CONFLICT = 2
    OLDER = 3


NEW, EXISTS = str(int(Verdict.NEW)), str(int(Verdict.EXISTS))
STATUSES = {
    Verdict.CONFLICT: Status.EXISTS_WITH_DIFFERENT_CONTENT,
    Verdict.OLDER: Status.REVISION_OLDER_THAN_HELD,
}


@dataclass(frozen=True)
class Refusal:
    """A staged row that is not stored, by its place in the COPY."""

    leaf_index: int
    order_no: str
    verdict: Verdict
    content: dict[str, Any] | None


@dataclass(frozen=True)
class Resolution:
    """The verdicts on the rows of a batch.

    `other_verdicts` has a digit for each row at `positions`; all other rows exist.
    """

    row_count: int
    positions: Sequence[int]
    other_verdicts: str
    refusals: Sequence[Refusal]
    tallies: list[Tally]
    misses_first_revisions: bool

    @cached_property
    def verdicts(self) -> str:
        """The verdict on each row, one digit per row in the order of COPY."""
        if len(self.positions) == self.row_count:
            return self.other_verdicts
        digits = list(EXISTS * self.row_count)
        for position, verdict in zip(self.positions, self.other_verdicts, strict=True):
            digits[position] = verdict
        return "".join(digits)


def new_rows(verdicts: str, leaf_count: int) -> list[bool]:
    """Whether each row is to be stored: of the first `leaf_count` rows those that are new.

    The duplicate rows after them have no leaf; the first row of their identity is stored instead.
    """
    return [verdict == NEW and index < leaf_count for index, verdict in enumerate(verdicts)]


def apply(
    prepared: PreparedBatch, resolution: Resolution, root: bytes, hashes: bytes
) -> PreparedBatch:
    """The batch with what is new of it: the root and hashes of the rows that are stored."""
    count = prepared.leaf_count
    duplicate_verdicts = resolution.verdicts[count:]
    refused = [
        Rejection(
            prepared.row_indexes[refusal.leaf_index],
            refusal.order_no,
            STATUSES[refusal.verdict],
            "revision",
            refusal.content,
        )
        for refusal in resolution.refusals
    ]
    # The identity of these is new: the first row of the batch is stored, and decides about them.
    against_first = [
        rejection
        for rejection, verdict in zip(prepared.duplicate_rows, duplicate_verdicts, strict=True)
        if verdict == NEW
    ]
    refused += [rejection for rejection in against_first if rejection is not None]
    return replace(
        prepared,
        hashes=hashes,
        root=root,
        tallies=resolution.tallies,
        exists_count=resolution.verdicts.count(EXISTS) + against_first.count(None),
        rejections=sorted([*prepared.rejections, *refused], key=lambda row: row.index),
    )
