"""What must hold of the rows of benefits."""

from __future__ import annotations

from services.benefits.domain import law as rules
from services.benefits.domain.figures import AwaitedFigure
from services.benefits.store import invariants as rows
from services.benefits.store import payment_runs as run_store
from services.benefits.store import true_ups as true_up_store
from services.kernel.lawbook import law_version
from services.kernel.periods import Month
from services.runtime.service.context import Check, Figure, Invariant, ServiceContext
from services.runtime.storage.database import Transaction

FOUNDED = Invariant(
    "I3-benefits-founded",
    "every payment instruction rests on an award and a rate decided for its month",
)
COMPLETE = Invariant(
    "I3-benefits-complete",
    "each entitlement-month up to the latest run is instructed exactly once",
)
RATES = Invariant("I3-benefits-rates", "no award has two rates in one month")
SUSPENSIONS = Invariant(
    "I3-benefits-suspensions", "an award is in the state SUSPENDED exactly while it is suspended"
)
TOTALS = Invariant(
    "I7-benefits-totals",
    "the totals published for each run are the sums of its payment instructions",
)
CASES = Invariant(
    "I3-benefits-cases", "every award belongs to a claim whose determination was received"
)
ONE_SET = Invariant("I3-benefits-one-set", "a worker and an accident have one set of awards")
ONE_DEATH = Invariant("I3-benefits-one-death", "a person has one death grant and one funeral grant")
BILLS = Invariant(
    "I3-benefits-bills",
    "no bill is granted twice, and every expense has a bill or days in hospital",
)
STAYS = Invariant("I3-benefits-stays", "no day in hospital is granted twice")
REVERSALS = Invariant(
    "I7-benefits-reversals",
    "a reversed expense pays nothing, what it paid is to be recovered, and its bill is free",
)
LIFE = Invariant(
    "I3-benefits-life",
    "no monthly benefit of a worker runs past the month of death, no death benefit is that of a"
    " living worker, and every life event belongs to a claim",
)
LAW_NAMED = Invariant(
    "I16-benefits-law", "every payment run names the assumed values on which its payments rest"
)
TRUED_UP = Invariant(
    "I3-benefits-trued-up",
    "no award waits for a figure that was published by the day of the latest payment run",
)
INVARIANTS: tuple[Invariant, ...] = (
    FOUNDED,
    COMPLETE,
    RATES,
    SUSPENSIONS,
    TOTALS,
    CASES,
    ONE_SET,
    ONE_DEATH,
    BILLS,
    STAYS,
    REVERSALS,
    LIFE,
    LAW_NAMED,
    TRUED_UP,
)


async def verify(tx: Transaction, _context: ServiceContext) -> list[Check]:
    """The invariants of benefits, checked on all rows."""
    return [
        FOUNDED.check(await rows.count_unfounded_payments(tx), "payments are not founded"),
        COMPLETE.check(
            await rows.count_missing_payments(tx), "months are missing; the key prevents repeats"
        ),
        RATES.check(await rows.count_overlapping_rates(tx), "rates overlap"),
        SUSPENSIONS.check(
            await rows.count_differing_suspensions(tx), "awards are in another state"
        ),
        TOTALS.check(await rows.count_differing_totals(tx), "totals differ"),
        CASES.check(await rows.count_awards_without_case(tx), "awards without a case"),
        ONE_SET.check(await rows.count_second_sets(tx), "awards are of a second set"),
        ONE_DEATH.check(await rows.count_second_deaths(tx), "grants are of a second death"),
        BILLS.check(await rows.count_bills_twice(tx), "bills are granted twice or missing"),
        STAYS.check(await rows.count_overlapping_stays(tx), "stays overlap"),
        REVERSALS.check(await rows.count_wrong_reversals(tx), "reversals differ"),
        LIFE.check(
            await rows.count_benefits_against_life(tx)
            + await rows.count_unexplained_life_events(tx),
            "awards or life events contradict the last life event",
        ),
        LAW_NAMED.check(await rows.count_without_law(tx), "parts or payments differ"),
        TRUED_UP.check(await _count_overdue(tx), "awards wait for a published figure"),
    ]


async def _count_overdue(tx: Transaction) -> int:
    """Awards that wait for a figure that the latest payment run knew.

    A run trues up every provisional award. A law that was changed since for days before the run is
    not what the run knew; the next one counts.
    """
    latest = await run_store.find_law(tx)
    if latest is None or latest[0] != law_version(rules.LAW, latest[1]):
        return 0
    return sum(
        count
        for figure, count in await true_up_store.list_awaited(tx)
        if AwaitedFigure.parse(figure).is_outdated(rules.LAW, latest[1])
    )


async def figures(tx: Transaction, first_month: Month) -> list[Figure]:
    """What the fund must have booked, and what claims must have confirmed."""
    instructed = await rows.list_instructed(tx, first_month)
    confirmed = await rows.list_confirmed(tx, first_month)
    return [
        *(Figure("I15-instructed", key, count, str(sum_fen)) for key, count, sum_fen in instructed),
        *(Figure("I15-confirmed", key, count, str(digest)) for key, count, digest in confirmed),
    ]
