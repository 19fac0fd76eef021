"""The key that signs the heads of the logs: one file for all replicas, never made in production.

Its format and the signer itself are those of services/orderlog/keys.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from services.kernel.problems import Kind, Problem
from services.orderlog import tree
from services.orderlog.keys import LogKeyError, Signer, new_key, read_signer
from services.runtime.base.secret_files import write_once

if TYPE_CHECKING:
    from services.orders.store.intake import Log
    from services.runtime.service.context import ServiceContext

KEY_FILE = Path("keys") / "order-log.pem"
VERIFIER_FILE = Path("keys") / "order-log.vkey"


class LogBroken(Problem):
    """A platform's log is not as its newest signed head says, so nothing may be added to it."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "LOG_BROKEN"
    message = (
        "The log of {platform} was changed after it was signed ({what}), so nothing is added; "
        "tell the auditor, and send the batch again once the log is restored."
    )
    message_zh = (
        "{platform} 的日志在签名之后被改动 ({what}), 因此不再追加; "
        "请通知审计, 恢复后重新发送该批次。"
    )


def require_whole(signer: Signer, platform: str, log: Log) -> None:
    """Raise LogBroken unless the newest signed head is that of what the log goes on from.

    Whoever changes the tables without the key must not have the service sign the change.
    """
    what = _fault(signer, platform, log)
    if what:
        raise LogBroken(platform=f"platforms/{platform}", what=what)


def _fault(signer: Signer, platform: str, log: Log) -> str:
    size, head = log.size, log.head
    if log.batch_count != size:
        return f"it holds {size} batches, but {log.batch_count} are there"
    if head is None:
        return f"the head of its {size} batches is missing" if size else ""
    if head.log_size != size or len(log.frontier) != size.bit_count():
        return f"it holds {size} batches, but its newest head is that of {head.log_size}"
    if head.root != tree.fold(log.frontier):
        return f"its nodes do not give the head at {size}"
    if not signer.opens(head.note, platform, size, head.root):
        return f"the head at {size} is not signed with the key of this log"
    return ""


def signer_of(context: ServiceContext) -> Signer:
    """The signer of this deployment; only development makes a key (mode 0600) if there is none.

    Raises LogKeyError: without the one key of all replicas nothing may be signed.
    """
    path = context.order_log_key_file
    if path is None:
        if not context.makes_keys:
            raise LogKeyError(
                "there is no key to sign order logs with; set OIP_ORDER_LOG_KEY_FILE to its file, "
                "the same for every replica (deploy/README.md says how it is made)"
            )
        path = context.state_dir / KEY_FILE
        if not path.exists():
            write_once(path, new_key())
    signer = read_signer(path, context.province)
    if context.makes_keys:
        _keep_verifier(context.state_dir / VERIFIER_FILE, signer)
    return signer


def _keep_verifier(path: Path, signer: Signer) -> None:
    """Leave the verifier key where `oip` looks; another one there says that a key was lost."""
    if not path.exists():
        write_once(path, f"{signer.verifier_key}\n".encode("ascii"))
    held = path.read_text(encoding="ascii").strip()
    if held not in signer.verifier_keys:
        raise LogKeyError(
            f"the key of order logs is not the one of {path}; restore that key, or remove the file "
            "if the logs it signed are gone"
        )
    if held != signer.verifier_key:
        path.write_text(signer.verifier_key + "\n", encoding="ascii")
