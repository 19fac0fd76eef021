"""What a platform may send in a minute; what is above it is refused with the time to wait."""

from __future__ import annotations

from services.orders.commands.allowances import Allowances
from services.runtime.base.tenant_limits import Limits

LIMITS = Limits(rows_per_minute=600, bytes_per_minute=6_000)


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_bytes_above_the_limit_wait_for_as_long_as_the_refusal_says() -> None:
    seconds = Seconds()
    allowances = Allowances(LIMITS, seconds)

    assert allowances.refusal("a", 7_000) is None
    refusal = allowances.refusal("a", 1)

    assert refusal is not None
    assert refusal.sentence == ("The limit of 6000 bytes per minute is reached; try again in 11 s.")
    assert allowances.refusal("b", 1) is None
    seconds.now += int(refusal.facts["retry_seconds"])
    assert allowances.refusal("a", 1) is None


def test_each_batch_counts_however_small_it_is() -> None:
    seconds = Seconds()
    allowances = Allowances(Limits(batches_per_minute=60), seconds)
    for _ in range(60):
        assert allowances.refusal("a", 1) is None

    refusal = allowances.refusal("a", 1)

    assert refusal is not None
    assert "60 batches per minute" in refusal.sentence
    assert allowances.refusal("b", 1) is None
    seconds.now += 1
    assert allowances.refusal("a", 1) is None


def test_rows_count_once_they_were_read() -> None:
    seconds = Seconds()
    allowances = Allowances(LIMITS, seconds)
    assert allowances.refusal("a", 1) is None
    allowances.take_rows("a", 650)

    refusal = allowances.refusal("a", 1)

    assert refusal is not None
    assert "600 rows per minute" in refusal.sentence
    seconds.now += int(refusal.facts["retry_seconds"])
    assert allowances.refusal("a", 1) is None
