"""`python -m services.client.files.proposal_reader FILE`: a proposed mapping on stdout, as JSON.

It runs as a separate program with limited memory, as the reader of orders does, because nobody
knows yet what the file does to it; `order_files.propose_mapping` starts it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from services.client.files.faults import Unreadable
from services.client.files.file_reader import limit_memory
from services.client.files.proposals import propose


def main() -> None:
    """Propose a mapping, or say why there is none."""
    path = Path(sys.argv[1])
    limit_memory(path)
    try:
        answer = asdict(propose(path))
    except Unreadable as refusal:
        answer = asdict(refusal.reason)
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
