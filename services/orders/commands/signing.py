"""The key that signs the heads of the logs: one file for all replicas, never made in production.

The file is PEM: the private Ed25519 key, and after it the public keys that signed before it, if
there were any, so that a log goes on under a new key and its older heads still hold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from services.kernel.problems import Kind, Problem
from services.orderlog import notes, tree
from services.runtime.base.secret_files import write_once

if TYPE_CHECKING:
    from services.orders.store.intake import Log
    from services.runtime.service.context import ServiceContext

KEY_FILE = Path("keys") / "order-log.pem"
VERIFIER_FILE = Path("keys") / "order-log.vkey"
_PUBLIC = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)


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


class LogKeyError(RuntimeError):
    """There is no key to sign the logs with, or not the right one."""


@dataclass(frozen=True)
class Signer:
    """Signs heads under a key's name, and opens those that it or an earlier key signed."""

    province: str
    key: Ed25519PrivateKey
    earlier: tuple[Ed25519PublicKey, ...] = ()

    def sign(self, platform: str, size: int, root: bytes) -> str:
        """The signed note of a platform's log."""
        head = notes.Head(notes.origin(self.province, platform), size, root)
        return notes.sign(head, notes.key_name(self.province), self.key)

    def opens(self, note: str, platform: str, size: int, root: bytes) -> bool:
        """Whether a note is the signed head of this size and root of the platform's log."""
        wanted = notes.Head(notes.origin(self.province, platform), size, root)
        for verifier in self.verifier_keys:
            try:
                return notes.open_note(note, verifier) == wanted
            except ValueError:
                continue
        return False

    def require_whole(self, platform: str, log: Log) -> None:
        """Raise LogBroken unless the newest signed head is that of what the log goes on from.

        Whoever changes the tables without the key must not have the service sign the change.
        """
        what = self._fault(platform, log)
        if what:
            raise LogBroken(platform=f"platforms/{platform}", what=what)

    def _fault(self, platform: str, log: Log) -> str:
        size, head = log.size, log.head
        if log.batch_count != size:
            return f"it holds {size} batches, but {log.batch_count} are there"
        if head is None:
            return f"the head of its {size} batches is missing" if size else ""
        if head.log_size != size or len(log.frontier) != size.bit_count():
            return f"it holds {size} batches, but its newest head is that of {head.log_size}"
        if head.root != tree.fold(log.frontier):
            return f"its nodes do not give the head at {size}"
        if not self.opens(head.note, platform, size, head.root):
            return f"the head at {size} is not signed with the key of this log"
        return ""

    @property
    def verifier_key(self) -> str:
        """What auditors check the notes with; give it out once, by another way."""
        return self.verifier_keys[0]

    @property
    def verifier_keys(self) -> list[str]:
        """The verifier key, then those of earlier keys."""
        keys = (self.key.public_key(), *self.earlier)
        return [notes.verifier_key(notes.key_name(self.province), key) for key in keys]


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
            _make(path)
    signer = read_signer(path, context.province)
    if context.makes_keys:
        _keep_verifier(context.state_dir / VERIFIER_FILE, signer)
    return signer


def read_signer(path: Path, province: str) -> Signer:
    """The signer whose key is in a file. Raises LogKeyError."""
    try:
        content = path.read_bytes()
        key = serialization.load_pem_private_key(content, password=None)
        earlier = [serialization.load_pem_public_key(one) for one in _PUBLIC.findall(content)]
    except OSError as error:
        raise LogKeyError(
            f"the key of order logs cannot be read at {path} ({error.strerror}); put it there, "
            "or set OIP_ORDER_LOG_KEY_FILE"
        ) from error
    except (ValueError, TypeError) as error:
        raise LogKeyError(
            f"{path} is no PEM file with a private key; set OIP_ORDER_LOG_KEY_FILE to one made as "
            "deploy/README.md says"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise LogKeyError(f"{path} has a key that is not Ed25519; make it as deploy/README.md says")
    return Signer(province, key, tuple(one for one in earlier if isinstance(one, Ed25519PublicKey)))


def _make(path: Path) -> None:
    """Write the key whole or not at all; whoever comes second keeps the first one's."""
    content = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_once(path, content)


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
