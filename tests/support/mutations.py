"""Files changed at random. As a program: how the client reads many mutations of a file.

`python -m tests.support.mutations FILE MAPPING` prints how often each outcome was; OIP_SEED repeats
a run. A mutation that breaks the program ends it.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections import Counter
from pathlib import Path

from services.client.files.faults import Unreadable
from services.client.files.file_reader import rows_of
from services.client.files.mapping import load_mapping

SEED = int(os.environ.get("OIP_SEED", "20250701"))
MUTATIONS = int(os.environ.get("OIP_MUTATIONS", "600"))


def mutated(sound: bytes, chance: random.Random) -> bytes:
    """One to eight bytes changed, and now and then the end cut off."""
    content = bytearray(sound)
    for _ in range(chance.randint(1, 8)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    if chance.random() < 0.1:
        del content[chance.randrange(len(content)) :]
    return bytes(content)


def main() -> None:
    file, mapping = Path(sys.argv[1]), load_mapping(Path(sys.argv[2]))
    chance, sound = random.Random(SEED), file.read_bytes()
    changed = file.with_name(f"changed{file.suffix}")
    outcomes: Counter[str] = Counter()
    for _ in range(MUTATIONS):
        changed.write_bytes(mutated(sound, chance))
        try:
            for piece in rows_of(changed, mapping):
                piece.validate(full=True)
        except Unreadable as refusal:
            is_sentence = 0 < len(str(refusal)) < 500
            outcomes["refused" if is_sentence else "said too much"] += 1
        else:
            outcomes["read"] += 1
    sys.stdout.write(json.dumps(outcomes))


if __name__ == "__main__":
    main()
