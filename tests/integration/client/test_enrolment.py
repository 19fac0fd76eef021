"""A platform enrols a list of workers with the client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.client.enrolment import ROWS_PER_REQUEST, EnrolOutcome, NewWorker, enrol_workers
from services.enrolment.__main__ import SERVICE
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from tests.support.databases import Databases
from tests.support.enrolling import citizen_number, enrol_hints
from tests.support.platforms import SWIFT
from tests.support.stack_client import StackClient, refused, stack_client


@pytest.fixture
async def client(
    stack: Settings, databases: Databases, clock: SetClock
) -> AsyncIterator[StackClient]:
    settings = stack.model_copy(update={"database_url": await databases.fresh("enrolment")})
    async with stack_client([SERVICE], settings, clock, compares=False) as client:
        await enrol_hints(client.stack, SWIFT, [])
        yield client


def workers(count: int) -> list[NewWorker]:
    return [NewWorker(f"w-{number}", citizen_number(number)) for number in range(count)]


async def enrol(client: StackClient, listed: list[NewWorker], run: str) -> list[EnrolOutcome]:
    stub = client.enrolment("platform", platform=SWIFT)
    return [outcome async for outcome in enrol_workers(stub, SWIFT, listed, run)]


async def test_a_list_longer_than_a_request_has_an_outcome_for_each(client: StackClient) -> None:
    listed = workers(ROWS_PER_REQUEST + 3)
    listed[1] = NewWorker("w-1", "not a document")
    outcomes = await enrol(client, listed, "july")

    assert [each.worker_number for each in outcomes] == [each.worker_number for each in listed]
    assert [each.is_enrolled for each in outcomes].count(False) == 1
    assert (outcomes[1].status, outcomes[1].worker) == ("BAD_DOCUMENT_NUMBER", 0)
    assert outcomes[1].text
    assert len({each.worker for each in outcomes}) == len(listed)


async def test_the_list_again_gets_the_first_outcomes_and_another_run_finds_them(
    client: StackClient,
) -> None:
    first = await enrol(client, workers(3), "july")
    again = await enrol(client, workers(3), "july")
    later = await enrol(client, workers(4), "august")

    assert first == again
    assert [each.status for each in later] == ["EXISTS", "EXISTS", "EXISTS", "CREATED"]
    assert [each.worker for each in later[:3]] == [each.worker for each in first]


async def test_another_list_under_the_same_run_is_refused(client: StackClient) -> None:
    await enrol(client, workers(3), "july")
    problem = await refused(enrol(client, workers(4), "july"))

    assert problem.reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize("run", ["", "a b", "a" * 41])
async def test_a_run_has_a_name(client: StackClient, run: str) -> None:
    with pytest.raises(ValueError, match="run"):
        await enrol(client, workers(1), run)
