"""Re-computes what orders answers for, from the rows: receipts, tallies, roots, logs, heads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from sqlalchemy.exc import DataError

from services.kernel.parameters import ParameterNotFound
from services.kernel.periods import first_moment
from services.orders.commands.signing import Signer, signer_of
from services.orders.commands.walking import Faults, Walk
from services.orders.domain.checks import rules_at
from services.orders.store import log, recounts
from services.orders.store.log import Checkpoint
from services.runtime.service.context import Check, ServiceContext
from services.runtime.storage.database import Transaction

HEADS_AT_A_TIME = 1000
# Invariant, what it says, the question that counts what does not hold, and what is counted.
_RECOUNTS = (
    (
        "I2",
        "every accepted order is stored once, and each batch has as many as its receipt says",
        recounts.STRAY,
        "batches differ",
    ),
    (
        "I13",
        "received = created + exists + conflict + rejected in every batch, as its rejections say",
        recounts.RECEIPTS,
        "batches differ",
    ),
    (
        "I2-tallies",
        "the tallies told are those that a recount of the orders gives, batch by batch",
        recounts.TALLIES,
        "lines differ",
    ),
    (
        "I2-headless",
        "orders of which a later revision came first are known, and no others",
        recounts.HEADLESS,
        "orders or logs differ",
    ),
    (
        "I5-freezes",
        "records are kept for whom the audit says, and for nobody else",
        recounts.FREEZES,
        "requests differ",
    ),
)
_WALKED = (
    ("I5", "rows", "the rows of each batch give its root"),
    ("I5-log", "log", "the roots give every head and node of the log, without a gap"),
    ("I5-told", "told", "each receipt is the one in the audit, and was told as it is held"),
)


async def verify(tx: Transaction) -> list[Check]:
    """The invariants that the rows alone can show."""
    checks = []
    for invariant, text, question, counted in _RECOUNTS:
        wrong = await recounts.count(tx, question)
        checks.append(Check(invariant, text, wrong == 0, f"{wrong} {counted}"))
    walk = Walk(tx)
    try:
        await walk.run()
    except DataError as error:
        # A moment or text that no service wrote and that cannot even be read.
        walk.faults["log"].add(f"a value of the log cannot be read ({error.orig})")
    return [*checks, *(_check(name, text, walk.faults[what]) for name, what, text in _WALKED)]


async def verify_with(tx: Transaction, context: ServiceContext) -> list[Check]:
    """The invariants that need the log's key, or the areas of the province."""
    heads, areas = Faults(), Faults()
    signer = signer_of(context)
    async for page in _heads(tx):
        for head in page:
            _check_note(signer, head, heads)
    for one in _stretches(await recounts.days(tx), context.province):
        values = {**vars(one), "areas": list(one.areas), "earlier": list(one.earlier)}
        wrong = await recounts.count(tx, recounts.MISPLACED, **values)
        if wrong:
            areas.add(f"{wrong} orders stand in another pooling area than their place")
    return [
        _check("I5-signed", "every head of a log is signed as it is held", heads),
        _check("I5-areas", "each order stands in the pooling area of its place", areas),
    ]


def _check(invariant: str, text: str, faults: Faults) -> Check:
    return Check(invariant, text, not faults.count, faults.detail)


def _check_note(signer: Signer, head: Checkpoint, faults: Faults) -> None:
    if not signer.opens(head.note, head.platform, head.log_size, head.root):
        where = f"the head of {head.platform} at {head.log_size}"
        faults.add(f"{where} is not signed as it stands there")


async def _heads(tx: Transaction) -> AsyncIterator[list[Checkpoint]]:
    platform, size = "", 0
    while page := await log.checkpoints_after(tx, platform, size, HEADS_AT_A_TIME):
        yield page
        platform, size = page[-1].platform, page[-1].log_size


@dataclass(frozen=True)
class Stretch:
    """Days with the same pooling areas, and the areas before them."""

    start: datetime
    end: datetime
    areas: tuple[int, ...]
    earlier: tuple[int, ...]


def _stretches(days: Sequence[date], province: str) -> list[Stretch]:
    """The stretches that these days lie in, in their order."""
    found: list[Stretch] = []
    for areas, same in groupby(days, lambda day: _areas(day, province)):
        first, *rest = same
        end = first_moment((rest[-1] if rest else first) + timedelta(days=1))
        earlier = found[-1].areas if found else areas
        found.append(Stretch(first_moment(first), end, areas, earlier))
    return found


def _areas(day: date, province: str) -> tuple[int, ...]:
    try:
        return rules_at(first_moment(day), province).pooling_areas
    except ParameterNotFound:
        # Long before the scheme: whatever stands there was not taken.
        return ()
