"""The key that signs the heads of the logs: a file, made at the first start in development."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.orders.domain import notes
from services.runtime.secret_files import write_once

KEY_FILE = Path("keys") / "order-log.pem"
VERIFIER_FILE = Path("keys") / "order-log.vkey"


@dataclass(frozen=True)
class Signer:
    """Signs heads under a key's name."""

    province: str
    key: Ed25519PrivateKey

    def sign(self, platform: str, size: int, root: bytes) -> str:
        """The signed note of a platform's log."""
        head = notes.Head(notes.origin(self.province, platform), size, root)
        return notes.sign(head, notes.key_name(self.province), self.key)

    @property
    def verifier_key(self) -> str:
        """What auditors check the notes with; give it out once, by another way."""
        return notes.verifier_key(notes.key_name(self.province), self.key.public_key())


def signer_at(state_dir: Path, province: str) -> Signer:
    """The signer of this deployment; makes the key (mode 0600) if there is none."""
    path = state_dir / KEY_FILE
    if not path.exists():
        _make(path)
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey), f"{path} is not an Ed25519 key"
    signer = Signer(province, key)
    (state_dir / VERIFIER_FILE).write_text(signer.verifier_key + "\n", encoding="ascii")
    return signer


def _make(path: Path) -> None:
    """Write the key whole or not at all; whoever comes second keeps the first one's."""
    content = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_once(path, content)
