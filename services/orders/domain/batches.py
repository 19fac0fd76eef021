"""Batches: what is counted, what is refused, and the receipt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.orderlog.entries import batch_name, log_entry
from services.orders.domain.problems import BatchIdReused
from services.orders.domain.row_rules import CONFLICTS, Status

INLINE_REJECTIONS_MAX = 1000

# (pooling area, industry, days since 1970-01-01, count)
Tally = tuple[int, int, int, int]


@dataclass(frozen=True)
class Upload:
    """A batch as received, unread. `form` is `rows` (an OrderRows) or `arrow` (an IPC stream)."""

    platform: str
    batch_id: str
    form: str
    content: bytes


@dataclass(frozen=True)
class Rejection:
    """A row that is not stored. Conflicts keep their `content`, so that nothing sent is lost."""

    index: int
    order_no: str
    status: Status
    field: str
    content: dict[str, Any] | None = None


@dataclass(frozen=True)
class Batch:
    """An accepted batch. `rejections` are all of them, or the first thousand."""

    platform: str
    batch_id: str
    batch_no: int
    log_index: int
    received_count: int
    created_count: int
    exists_count: int
    conflict_count: int
    rejected_count: int
    rejected_by_reason: dict[Status, int]
    root: bytes
    content_hash: bytes
    create_time: datetime
    rejections: Sequence[Rejection] = ()

    @property
    def name(self) -> str:
        """`platforms/{credit code}/orderBatches/{id}`."""
        return batch_name(self.platform, self.batch_id)

    @property
    def log_entry(self) -> bytes:
        """The batch's entry in the platform's log; docs/evidence.md."""
        return log_entry(self.created_count, self.create_time, self.root, self.name)

    def require_content(self, content_hash: bytes) -> None:
        """Raise BatchIdReused unless the batch has this content."""
        if self.content_hash != content_hash:
            raise BatchIdReused(field="batch_id", batch_id=self.batch_id)


def count_reasons(rejections: Iterable[Rejection]) -> dict[Status, int]:
    """Rejections by reason, without conflicts."""
    statuses = (rejection.status for rejection in rejections)
    return dict(sorted(Counter(one for one in statuses if one not in CONFLICTS).items()))
