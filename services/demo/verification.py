"""The check at the end of the month: every invariant of every service."""

from __future__ import annotations

from rich.console import Console

from services.cli.verify import check_all, show_checks
from services.runtime.service.stack import Stack


class VerificationFailedError(RuntimeError):
    """An invariant does not hold."""


async def verify(running: Stack, console: Console) -> None:
    """Recompute all invariants; prints a table and raises VerificationFailedError if one fails."""
    channels = running.channels("demo", "administrator")
    try:
        verification = await check_all(channels, list(running.addresses))
    finally:
        await channels.close()
    failed = verification.failed_count
    if failed:
        show_checks(row for row in verification.rows if not row[1].holds)
        raise VerificationFailedError(f"{failed} of the invariants do not hold; see the table.")
    count, services = len(verification.rows), len(verification.of_services)
    console.print(f"All {count} invariants of {services} services hold.")
