"""The check at the end of the month: every invariant of every service."""

from __future__ import annotations

from rich.console import Console

from services.cli.verify import check_all, failures, table_of
from services.runtime.service.stack import Stack


class VerificationFailedError(RuntimeError):
    """An invariant does not hold."""


async def verify(running: Stack, console: Console) -> None:
    """Recompute all invariants; prints a table and raises VerificationFailedError if one fails."""
    channels = running.channels("demo", "administrator")
    try:
        checks, undelivered = await check_all(channels, list(running.addresses))
    finally:
        await channels.close()
    failed = failures(checks, undelivered)
    if failed:
        console.print(table_of(checks, undelivered))
        raise VerificationFailedError(f"{failed} of the invariants do not hold; see the table.")
    count = sum(map(len, checks.values())) + 1
    console.print(f"All {count} invariants of {len(checks)} services hold.")
