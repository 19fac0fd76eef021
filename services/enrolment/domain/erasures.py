"""The erasure of a worker: what has to be known of it, and what keeps it (个人信息删除)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from services.enrolment.domain.problems import WorkerHasOpenCases
from services.kernel import names
from services.kernel.problems import Malformed

HASH_BYTES = 32


class ErasureCode(Enum):
    """The grounds of the Personal Information Protection Law (个人信息保护法) art. 47."""

    PURPOSE_ENDED = 1
    RETENTION_ENDED = 2
    UNLAWFUL_PROCESSING = 3
    ORDERED = 4


@dataclass(frozen=True)
class Order:
    """The order to erase a worker: the ground, and the paper on which it was decided."""

    worker: int
    code: ErasureCode
    document_number: str
    document_hash: bytes

    @property
    def worker_name(self) -> str:
        """`workers/{id}`."""
        return names.name("workers", self.worker)


@dataclass(frozen=True)
class Obstacle:
    """What another service says against an erasure: the kind and the resource."""

    code: str
    resource: str


def order_of(worker: int, code: int, document_number: str, document_hash: bytes) -> Order:
    """An order from a request; raises Malformed."""
    if len(document_hash) != HASH_BYTES:
        raise Malformed.of(
            "document_hash",
            "NOT_A_HASH",
            "send the SHA-256 of the paper, {length} bytes",
            "请发送文件的 SHA-256 摘要 ({length} 字节)",
            length=HASH_BYTES,
        )
    return Order(worker, ErasureCode(code), document_number.strip(), document_hash)


def require_erasable(order: Order, obstacles: Sequence[Obstacle]) -> None:
    """Raise WorkerHasOpenCases while a case is open or money is still to flow.

    Nobody may decide or pay any more for a person of whom nothing can be read, and the law that
    gives the benefits goes before (art. 13(1)(3) and art. 47(2)).
    """
    if obstacles:
        kinds = ", ".join(dict.fromkeys(obstacle.code for obstacle in obstacles))
        resources = " ".join(dict.fromkeys(obstacle.resource for obstacle in obstacles))
        raise WorkerHasOpenCases(worker=order.worker_name, obstacles=kinds, resources=resources)
