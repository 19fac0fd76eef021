"""Registration of platforms, enrolment of workers, and the orders that platforms send."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date

import pyarrow.compute as pc
from oip.enrolment.v1 import enrolment_pb2, enrolment_pb2_grpc
from oip.orders.v1 import orders_pb2_grpc
from oip.premiums.v1 import premiums_pb2, premiums_pb2_grpc

from services.client.upload.batches import Batch, split_into_batches
from services.client.upload.stream import upload_orders
from services.client.upload.workers import with_workers
from services.demo.actors import Actors
from services.demo.province import Company, Person
from services.demo.scenario import Scenario, send_time
from services.kernel.periods import first_moment
from services.runtime.rpc.wire import date_to_wire, enum_number

Progress = Callable[[int], None]

WORKERS_PER_REQUEST = 5_000


async def register_platforms(actors: Actors, scenario: Scenario, done: Progress) -> None:
    """Register the companies, with their premium base and band from the first day of the month."""
    enrolment = actors.at(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment", "administrator")
    premiums = actors.at(premiums_pb2_grpc.PremiumServiceStub, "premiums", "fund_officer")
    actors.set_clock(first_moment(scenario.month.first_day))
    since = date_to_wire(scenario.month.first_day)
    for company in scenario.companies:
        await enrolment.RegisterPlatform(
            enrolment_pb2.RegisterPlatformRequest(
                request_id=actors.request_id("register", company.credit_code),
                credit_code=company.credit_code,
                display_name=company.display_name,
                industries=[enum_number(company.industry)],
            )
        )
        await premiums.AssignPremiumBase(
            premiums_pb2.AssignPremiumBaseRequest(
                request_id=actors.request_id("base", company.credit_code),
                platform=company.name,
                industry=enum_number(company.industry),
                since_date=since,
                base_yuan=company.base_yuan,
                reason="demo: base of the platform's group",
            )
        )
        await premiums.AssignExperienceBand(
            premiums_pb2.AssignExperienceBandRequest(
                request_id=actors.request_id("band", company.credit_code),
                platform=company.name,
                since_date=since,
                band=company.band,
                reason="demo: band of the year",
            )
        )
        done(1)


async def enrol_workers(actors: Actors, scenario: Scenario, done: Progress) -> dict[str, int]:
    """Enrol all workers with their platforms; the ids of workers by the platforms' numbers."""
    actors.set_clock(first_moment(scenario.month.first_day))
    ids: dict[str, int] = {}
    for company in scenario.companies:
        people = scenario.workers[company.credit_code]
        for start in range(0, len(people), WORKERS_PER_REQUEST):
            lot = people[start : start + WORKERS_PER_REQUEST]
            outcomes = await _enrol(actors, company, start, lot)
            for person, outcome in zip(lot, outcomes, strict=True):
                ids[person.worker_number] = outcome.worker
            done(len(lot))
    return ids


async def send_orders(
    actors: Actors, scenario: Scenario, ids: dict[str, int], done: Progress
) -> set[str]:
    """Send each day's rows on the next morning; the ids of the batches."""
    sent: set[str] = set()
    for day in scenario.send_dates:
        actors.set_clock(send_time(day))
        of_day = scenario.rows.filter(pc.equal(scenario.rows["send_date"], day))
        for company in scenario.companies:
            rows = of_day.filter(pc.equal(of_day["platform"], company.credit_code))
            batches = list(
                split_into_batches(with_workers(rows, ids), _run_id(actors, company, day))
            )
            sent |= await _upload(actors, company, batches, done)
    return sent


async def _enrol(
    actors: Actors, company: Company, start: int, people: tuple[Person, ...]
) -> list[enrolment_pb2.EnrolWorkersResponse.Outcome]:
    platform = actors.at(
        enrolment_pb2_grpc.EnrolmentServiceStub,
        "enrolment",
        "platform",
        platform=company.credit_code,
    )
    answer = await platform.EnrolWorkers(
        enrolment_pb2.EnrolWorkersRequest(
            request_id=actors.request_id("enrol", company.credit_code, start),
            platform=company.name,
            rows=[
                enrolment_pb2.EnrolWorkersRequest.Row(
                    worker_number=person.worker_number,
                    document_number=person.citizen_number,
                    phone=person.phone,
                )
                for person in people
            ],
        )
    )
    return list(answer.outcomes)


async def _upload(
    actors: Actors, company: Company, batches: list[Batch], done: Progress
) -> set[str]:
    orders = actors.at(
        orders_pb2_grpc.OrderServiceStub, "orders", "platform", platform=company.credit_code
    )
    await upload_orders(
        orders, company.credit_code, batches, lambda _batch, receipt: done(receipt.received_count)
    )
    return {batch.batch_id for batch in batches}


def _run_id(actors: Actors, company: Company, day: date) -> str:
    """A short name for the upload of a day, the same in every run."""
    name = actors.request_id(company.credit_code, day)
    return hashlib.sha256(name.encode()).hexdigest()[:24]
