"""Documents that the system knows by their hash alone; the file stays where it is."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from services.cli.connection import Refused


def hash_of(document: Path) -> bytes:
    """The SHA-256 of a file; raises Refused if it cannot be read."""
    try:
        return sha256(document.read_bytes()).digest()
    except OSError as error:
        raise Refused(f"{document} cannot be read ({error.strerror}); check the path.") from error
