"""How far a log was verified from its start, and the violations found."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from services.orderlog import tree
from services.orderlog.tree import Position

SHOWN_MAX = 5


@dataclass
class Violations:
    """What breaks an invariant: how many times, and the first sentences."""

    count: int = 0
    sentences: list[str] = field(default_factory=list)

    def add(self, sentence: str) -> None:
        """Count one more, and keep its sentence if there is room."""
        self.count += 1
        if len(self.sentences) < SHOWN_MAX:
            self.sentences.append(sentence)

    @property
    def detail(self) -> str:
        """The first of them, and how many more there are."""
        more = self.count - len(self.sentences)
        shown = "; ".join(self.sentences) or "no difference"
        return f"{shown}; and {more} more" if more else shown


@dataclass
class LogProgress:
    """How far a log was followed: its size and frontier, recomputed from its batches."""

    platform: str
    size: int = 0
    frontier: list[bytes] = field(default_factory=list)
    last_time: datetime | None = None
    is_followed: bool = True
    # Nodes completed since they were last compared with the stored ones.
    nodes: dict[Position, bytes] = field(default_factory=dict)

    def append(self, leaf: bytes) -> None:
        """Advance by one batch."""
        before = self.frontier
        self.frontier, positions = tree.append(before, self.size, leaf)
        hashes = tree.completed_hashes(before, positions, leaf)
        self.nodes |= dict(zip(positions, hashes, strict=True))
        self.size += 1

    @property
    def node_count(self) -> int:
        """How many complete subtrees a log of this size has."""
        return 2 * self.size - self.size.bit_count()
