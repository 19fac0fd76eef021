"""A console before a small province on real servers: one for each process that runs tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import pyarrow.compute as pc
import pytest
from oip.claims.v1 import claims_pb2, claims_pb2_grpc

from services.__main__ import all_services, register_members
from services.console.server import serving
from services.console.settings import ConsoleSettings
from services.demo import intake, scenario
from services.demo.actors import Actors, Calendar
from services.demo.scenario import Scenario
from services.demo.staff import first_members
from services.kernel.periods import SHANGHAI
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.rpc.wire import moment_to_wire
from services.runtime.service.stack import Stack, stack
from services.runtime.storage.migrate import migrate
from tests.support.browser import Browser
from tests.support.limits import ROOMY

ORDERS, WORKERS, SEED = 900, 60, 7
LAST_SENT = date(2025, 7, 6)
# Markup in every place in which people write.
MARKUP = '<script>alert("1")</script><img src=x onerror=alert(2)>\'"𠀀'


@dataclass
class ProvinceConsole:
    """A stack with some days of orders and four claims, and its console."""

    stack: Stack
    actors: Actors
    clock: SetClock
    plan: Scenario
    url: str = ""
    workers: dict[str, int] = field(default_factory=dict)
    # The third is of a worker of the second company, the others of the first.
    claims: list[str] = field(default_factory=list)
    browsers: list[Browser] = field(default_factory=list)

    def browser(self, url: str = "") -> Browser:
        """A new browser, which is closed with the province."""
        self.browsers.append(Browser(url or self.url))
        return self.browsers[-1]

    async def signed_in(self, account: str, platform: str = "") -> Browser:
        """A new browser of a person."""
        browser = self.browser()
        assert (await browser.sign_in(account, platform)).status == 303
        return browser

    @property
    def platforms(self) -> list[str]:
        """The credit codes of the companies."""
        return [company.credit_code for company in self.plan.companies]

    @asynccontextmanager
    async def console(self, **settings: object) -> AsyncIterator[str]:
        """A further console before the same stack; its address."""
        own = ConsoleSettings(**settings)  # type: ignore[arg-type]
        async with serving(
            self.stack.settings, own, self.stack.addresses, self.clock, address="127.0.0.1:0"
        ) as running:
            yield running.url


@pytest.fixture(scope="session")
async def province(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProvinceConsole]:
    whole = scenario.fictional(ORDERS, WORKERS, SEED)
    plan = replace(whole, rows=whole.rows.filter(pc.less_equal(whole.rows["send_date"], LAST_SENT)))
    clock = SetClock(Calendar(plan.month).at(1, 0))
    settings = Settings(state_dir=tmp_path_factory.mktemp("province"), limits=ROOMY)
    async with stack(all_services(), settings, clock=clock, any_port=True) as running:
        await register_members(running, first_members(plan))
        await running.wait_until_delivered()
        actors = Actors(running.addresses, running.issuer, clock, "console", Calendar(plan.month))
        await intake.register_platforms(actors, plan, lambda _: None)
        workers = await intake.enrol_workers(actors, plan, lambda _: None)
        await running.wait_until_delivered()
        await intake.send_orders(actors, plan, workers, lambda _: None)
        await running.wait_until_delivered()
        made = ProvinceConsole(running, actors, clock, plan, workers=workers)
        clock.set(datetime(2025, 7, 10, 9, 0, tzinfo=SHANGHAI))
        await _file_claims(made)
        await migrate(running.settings.database_of("console"), ["console"])
        async with made.console() as url:
            made.url = url
            yield made
            for browser in made.browsers:
                await browser.close()
        await actors.close()


async def _file_claims(province: ProvinceConsole) -> None:
    """Claims of workers of the first company, but the third, which is of the second company."""
    trips = province.plan.trips()
    first, second = province.platforms[:2]
    chosen = {}
    for trip in trips:
        key = (trip.platform, trip.worker)
        if trip.platform in {first, second} and key not in chosen:
            chosen[key] = trip
    of_first = [trip for (platform, _), trip in chosen.items() if platform == first][:3]
    of_second = [trip for (platform, _), trip in chosen.items() if platform == second][:1]
    for trip in (*of_first[:2], *of_second, *of_first[2:]):
        worker = f"workers/{province.workers[trip.worker]}"
        stub = province.actors.at(
            claims_pb2_grpc.ClaimServiceStub, "claims", "worker_agent", worker=worker
        )
        claim = await stub.CreateClaim(
            claims_pb2.CreateClaimRequest(
                request_id=province.actors.request_id("claim", trip.worker),
                claimant_kind=claims_pb2.WORKER,
                worker=worker,
                accident_time=moment_to_wire(trip.accept_time + timedelta(minutes=1)),
                place_of_injury=trip.place,
                situation=claims_pb2.ORDER_EXECUTION,
                description=MARKUP,
            )
        )
        await stub.AddEvidence(
            claims_pb2.AddEvidenceRequest(
                request_id=province.actors.request_id("document", trip.worker),
                claim=claim.name,
                kind=claims_pb2.Evidence.DIAGNOSIS,
                title=MARKUP,
                content_hash=bytes(32),
            )
        )
        province.claims.append(claim.name.rpartition("/")[2])
