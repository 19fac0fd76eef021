"""What `oip verify` compares between services: figures that two of them must hold alike."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from oip.operations.v1 import operations_pb2

from services.cli.operations import stub_of
from services.client.channels import Channels
from services.kernel.periods import Month, civil_day
from services.runtime.base.clock import SystemClock
from services.runtime.rpc.wire import month_to_wire
from services.runtime.service.erasures import ERASED_KEYS, ERASURES

Check: TypeAlias = operations_pb2.VerifyResponse.Check
# Count and sum by key.
Figures: TypeAlias = Mapping[str, tuple[int, str]]

# Months of figures that are compared; a difference is found long before.
MONTHS = 36
# Events that travel make a difference for a moment.
TRIES = 4
PAUSE_SECONDS = 0.5
SHOWN_COUNT = 5


@dataclass(frozen=True)
class CrossCheck:
    """A condition on the figures of two services.

    `figure` is the name of the figures, if several checks compare the same ones.
    """

    code: str
    services: tuple[str, str]
    text: str
    figure: str = ""

    @property
    def figures(self) -> str:
        """The name by which both services list what is compared."""
        return self.figure or self.code


CROSS_CHECKS = (
    CrossCheck(
        "I15-instructed",
        ("benefits", "fund"),
        "the fund has booked what benefits has instructed, by run and pooling area",
    ),
    CrossCheck(
        "I15-received",
        ("premiums", "fund"),
        "the fund has booked what premiums has received, by month and pooling area",
    ),
    CrossCheck(
        "I15-confirmed",
        ("claims", "benefits"),
        "benefits knows exactly the claims that claims holds as confirmed, by month",
    ),
    *(
        CrossCheck(
            f"I12-erasures-{service}",
            (before, service),
            f"{service} knows every erasure of a worker that {before} has carried out",
            ERASURES.format(producer=before),
        )
        for before, service in (
            ("enrolment", "claims"),
            ("claims", "grading"),
            ("grading", "benefits"),
        )
    ),
    *(
        CrossCheck(
            f"I12-copies-{producer}-{consumer}",
            (producer, consumer),
            f"{consumer} has dropped its copy of every data key that {producer} has destroyed",
            ERASED_KEYS.format(producer=producer),
        )
        for producer, consumer in (
            ("claims", "grading"),
            ("claims", "benefits"),
            ("grading", "benefits"),
        )
    ),
)


async def cross_checks(channels: Channels, services: Iterable[str]) -> list[Check]:
    """The result of each check whose two services are among `services`."""
    known = set(services)
    due = [check for check in CROSS_CHECKS if known.issuperset(check.services)]
    results: list[Check] = []
    for attempt in range(TRIES):
        results = await _compare(channels, due)
        if all(result.holds for result in results):
            break
        if attempt < TRIES - 1:
            await asyncio.sleep(PAUSE_SECONDS)
    return results


def difference(check: CrossCheck, first: Figures, second: Figures) -> Check:
    """The result of one check."""
    one_service, other_service = check.services
    wrong = [
        f"{key}: {one_service} {_shown(first, key)}, {other_service} {_shown(second, key)}"
        for key in sorted(first.keys() | second.keys())
        if first.get(key) != second.get(key)
    ]
    detail = "; ".join(wrong[:SHOWN_COUNT]) or f"{len(first)} figures compared"
    if len(wrong) > SHOWN_COUNT:
        detail = f"{detail}; and {len(wrong) - SHOWN_COUNT} more"
    return Check(invariant=check.code, text=check.text, holds=not wrong, detail=detail)


async def _compare(channels: Channels, due: Iterable[CrossCheck]) -> list[Check]:
    checks = list(due)
    names = {name for check in checks for name in check.services}
    figures = {name: await _figures(channels, name) for name in sorted(names)}
    return [
        difference(
            check,
            *(figures[name].get(check.figures, {}) for name in check.services),
        )
        for check in checks
    ]


async def _figures(channels: Channels, service: str) -> dict[str, dict[str, tuple[int, str]]]:
    """The figures of a service by check and key."""
    first = Month.of(civil_day(SystemClock().now())).plus(-MONTHS)
    request = operations_pb2.ListFiguresRequest(first_month=month_to_wire(first))
    by_check: dict[str, dict[str, tuple[int, str]]] = {}
    for row in (await stub_of(channels, service).ListFigures(request)).figures:
        by_check.setdefault(row.check, {})[row.key] = (row.count, row.sum)
    return by_check


def _shown(figures: Figures, key: str) -> str:
    if key not in figures:
        return "none"
    count, amount = figures[key]
    return f"{count} ({amount})"
