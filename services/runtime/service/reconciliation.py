"""What others hold of a service's events and its database does not, for an administrator."""

from __future__ import annotations

from dataclasses import dataclass

from services.kernel.problems import Kind, Problem
from services.runtime.events import comparison, lost_events
from services.runtime.events.comparison import Consumption
from services.runtime.events.epochs import Epoch
from services.runtime.events.lost_events import LostEvent


class NotBehind(Problem):
    """A new epoch is not needed."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "DATABASE_NOT_BEHIND"
    message = "The database of {service} holds all that was published; no new epoch is needed."
    message_zh = "{service}的数据库与已发布内容一致; 无需开始新的序列。"


class ReconciliationChanged(Problem):
    """What others hold is not what the administrator has read."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "RECONCILIATION_CHANGED"
    message = (
        "What others hold of {service} has changed since this reconciliation;"
        " run `oip restore show` again and use its digest."
    )
    message_zh = "自上次核对后各方持有的{service}事件已有变化; 请重新执行 `oip restore show`。"


class TooMuchLost(Problem):
    """More events are lost than one reconciliation takes back."""

    kind, reason = Kind.TOO_LARGE, "TOO_MUCH_LOST"
    message = "More than {most} events of {service} are lost; restore a later copy of its database."
    message_zh = "{service}丢失的事件超过 {most} 个; 请恢复更近的数据库备份。"


@dataclass(frozen=True)
class Reconciliation:
    """What others hold of a service's events and its database does not."""

    epoch: str
    published_seq: int
    differences: tuple[str, ...]
    lost: tuple[LostEvent, ...]
    silent: tuple[str, ...]
    consumptions: tuple[Consumption, ...]
    epochs: tuple[Epoch, ...]
    # Numbers of the epoch that the database has used again for events that nobody holds.
    reused: tuple[int, ...] = ()

    @property
    def digest(self) -> bytes:
        """SHA-256 of all that an administrator reads of it."""
        return lost_events.digest_of(
            (
                f"{self.epoch} {self.published_seq}",
                *(f"{event.id} {','.join(event.holders)}" for event in self.lost),
                *comparison.lines_of(self.consumptions),
                *(f"reused {pub_seq}" for pub_seq in self.reused),
                *(f"silent {service}" for service in self.silent),
            )
        )
