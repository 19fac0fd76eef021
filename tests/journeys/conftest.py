"""A small province on real servers, one for each journey."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from rich.console import Console

from services.__main__ import all_services, register_members
from services.demo import cases, injuries, intake, money, scenario, verification
from services.demo.actors import Actors, Calendar
from services.demo.cases import Accident
from services.demo.injuries import Filed
from services.demo.scenario import Scenario
from services.demo.staff import PERSONS, first_members
from services.demo.summary import order_counts
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.service.stack import Stack, stack
from tests.support.limits import ROOMY
from tests.support.staff import store_entries, usual_entries

ORDERS, WORKERS, SEED = 4_000, 400, 7


def nothing(_count: int = 1) -> None:
    """A test shows no progress."""


@dataclass
class SimulatedMonth:
    """A month that is simulated step by step."""

    stack: Stack
    actors: Actors
    plan: Scenario
    workers: dict[str, int]
    batches: set[str]

    async def enrol_and_send(self) -> None:
        """Platforms, workers and the month's orders."""
        await intake.register_platforms(self.actors, self.plan, nothing)
        self.workers = await intake.enrol_workers(self.actors, self.plan, nothing)
        await self.stack.wait_until_delivered()
        self.batches = await intake.send_orders(self.actors, self.plan, self.workers, nothing)
        await self.stack.wait_until_delivered()

    async def bill(self) -> None:
        """Premiums assessed and received."""
        await money.assess_premiums(self.actors, list(self.plan.months), nothing)
        await money.receive_premiums(
            self.actors, list(self.plan.months), self.plan.late_platform, nothing
        )
        await self.stack.wait_until_delivered()

    async def send_again(self) -> dict[str, int]:
        """The month's rows once more, under other batch ids; what became of them."""
        again = Actors(
            self.stack.addresses,
            self.stack.issuer,
            self.actors.clock,
            "again",
            self.actors.calendar,
        )
        batches = await intake.send_orders(again, self.plan, self.workers, nothing)
        await self.stack.wait_until_delivered()
        platforms = [company.name for company in self.plan.companies]
        counts = await order_counts(again, platforms, batches)
        await again.close()
        return counts

    async def verify(self) -> None:
        """All invariants hold, or a table says which does not."""
        await verification.verify(self.stack, Console())

    def accidents(self) -> list[Accident]:
        """The accidents of the month."""
        last = self.plan.month.first_day.replace(day=injuries.LAST_ACCIDENT_DAY)
        return cases.choose(self.plan.trips(), last)

    async def claim(self) -> list[Filed]:
        """The accidents reported, claimed and determined."""
        filed = await injuries.file_claims(self.actors, self.accidents(), self.workers, nothing)
        await injuries.determine_claims(self.actors, filed, nothing)
        await self.stack.wait_until_delivered()
        return filed

    async def grade_and_pay(self, filed: list[Filed]) -> None:
        """Appraisals concluded, bills handed in, payments instructed."""
        await injuries.conclude_appraisals(self.actors, filed, nothing)
        await self.stack.wait_until_delivered()
        await injuries.grant_expenses(self.actors, filed, nothing)
        await money.instruct_payments(self.actors, nothing)
        await self.stack.wait_until_delivered()


@pytest.fixture(scope="module")
async def simulated(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SimulatedMonth]:
    plan = scenario.fictional(ORDERS, WORKERS, SEED)
    calendar = Calendar(plan.month)
    clock = SetClock(calendar.at(1, 0))
    settings = Settings(state_dir=tmp_path_factory.mktemp("province"), limits=ROOMY)
    async with stack(all_services(), settings, clock=clock, any_port=True) as running:
        await register_members(running, first_members(plan))
        await running.wait_until_delivered()
        named = {account for account, _, _ in PERSONS}
        others = [entry for entry in usual_entries() if entry.accounts[0].subject not in named]
        await store_entries(running.settings.database_url, running.contexts, others)
        actors = Actors(running.addresses, running.issuer, clock, plan.name, calendar)
        yield SimulatedMonth(running, actors, plan, {}, set())
        await actors.close()
