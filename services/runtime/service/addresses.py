"""The file `running.json` in the state folder: the services' addresses, for the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

RUNNING_FILE = "running.json"


@contextmanager
def publish_addresses(state_dir: Path, addresses: Mapping[str, str]) -> Iterator[None]:
    """Write the services' addresses into the state folder (mode 0600) while the block runs."""
    path = state_dir / RUNNING_FILE
    draft = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"pid": os.getpid(), "addresses": dict(addresses)}, file, indent=2)
    draft.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def published_addresses(state_dir: Path) -> dict[str, str]:
    """The addresses of the stack that runs on a state folder; empty if none runs."""
    try:
        content = json.loads((state_dir / RUNNING_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    addresses: dict[str, str] = content["addresses"]
    return addresses
