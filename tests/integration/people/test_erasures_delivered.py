"""The erasure of a worker on its way: twice, out of order, killed between, restored."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from oip.benefits.v1 import benefits_pb2
from oip.claims.v1 import events_pb2 as claim_events
from oip.type.v1 import type_pb2

from services.kernel.periods import Month
from services.runtime.events import receiver
from services.runtime.rpc.wire import month_to_wire
from services.runtime.service import erasures, requests
from tests.integration.claims.conftest import enrol
from tests.integration.people.erasures import (
    DOCUMENT,
    ERASED,
    HOLDERS,
    Person,
    bill,
    determine,
    erase,
    erasing,
    get_claim,
    hurt,
    register_swift,
    word,
)
from tests.support.command_line import Result, run_oip
from tests.support.platforms import SWIFT
from tests.support.stack_client import StackClient


@pytest.fixture(scope="module", autouse=True)
async def swift(client: StackClient) -> None:
    """The platform of all workers."""
    await register_swift(client)


async def test_the_command_line_records_an_erasure_that_another_person_signs(
    client: StackClient, tmp_path: Path
) -> None:
    worker = f"workers/{await enrol(client, SWIFT, number=78)}"
    paper = tmp_path / "decision.pdf"
    paper.write_bytes(b"the paper")

    async def oip(subject: str, *arguments: str) -> Result:
        token = client.stack.issuer.issue(subject, ["administrator"])
        return await run_oip(client.stack.settings.state_dir, "--token", token, *arguments)

    record = ["erasures", "record", worker, "--number", "粤社保 2025-19", "--document", str(paper)]
    wrong = await oip("li", *record, "--ground", "because")
    record += ["--ground", "retention-ended", "--request-id", "erase-78"]
    waits = await oip("li", *record)
    act = re.search(r"pendingActs/\w+", waits.output)
    assert act is not None, waits.output
    digest = re.search(r"\b[0-9a-f]{64}\b", (await oip("wu", "acts", "show", act[0])).output)
    assert digest is not None
    signed = await oip("wu", "acts", "sign", act[0], "--hash", digest[0])
    done = await oip("li", *record)
    await client.delivered()
    shown = await oip("li", "erasures", "list")

    assert wrong.exit_code == 2
    assert "choose one of purpose-ended" in wrong.stderr
    assert (signed.exit_code, done.exit_code) == (0, 0), signed.output + done.output
    assert worker in done.stdout
    assert DOCUMENT.hex() in shown.stdout
    assert worker in shown.stdout


def erased_event(client: StackClient, service: str, person: Person) -> Any:
    """The event by which a service hears of an erasure."""
    erasing = client.services[service].erasing
    assert erasing is not None
    fields = {"worker": person.worker, "code": type_pb2.ORDERED, "document_number": "2025-18"}
    return erasing.trigger(**fields, document_hash=DOCUMENT)


async def state_of(client: StackClient, service: str) -> list[Any]:
    question = (
        "select name, erase_time, obstacle, (select count(*) from data_key where wrapped is null),"
        " (select count(*) from outbox) from erasure order by position"
    )
    return [tuple(row) for row in await client.rows(service, question)]


async def test_an_erasure_that_comes_twice_counts_once(client: StackClient) -> None:
    person = Person(f"workers/{await enrol(client, SWIFT, number=79)}", 79)
    await erase(client, person)
    before = [await state_of(client, name) for name in HOLDERS]
    for name in HOLDERS:
        await client.consume(name, erased_event(client, name, person))

    assert [await state_of(client, name) for name in HOLDERS] == before


async def test_an_event_that_comes_after_the_erasure_has_no_effect(client: StackClient) -> None:
    """Benefits has heard of the erasure before the determination that claims publishes."""
    late = await hurt(client, 73)
    await client.consume("benefits", erased_event(client, "benefits", late))
    await determine(client, late)

    question = "select from case_facts where worker = :worker"
    assert await client.rows("benefits", question, worker=late.worker) == []
    rows = await client.rows("benefits", "select action from audit where action like '%effect'")
    assert [row.action for row in rows] == ["oip.claims.v1.ClaimDetermined without effect"]
    assert await client.broken_common("benefits") == []


async def test_a_key_that_was_erased_before_the_event_that_names_it(client: StackClient) -> None:
    """Grading and benefits drop a key that they do not have yet, and do not ask for it."""
    late = await hurt(client, 74)
    erased = await client.rows(
        "claims", "select id from data_key order by create_time desc limit 1"
    )
    event = claim_events.DataKeyErased(key=erased[0].id)
    await client.consume("grading", event)
    await determine(client, late)

    question = "select from injury where worker = :worker"
    assert await client.rows("grading", question, worker=late.worker) == []
    assert await client.rows("benefits", "select from case_facts where claim = :c", c=late.claim)
    assert await client.broken_common("grading") == []


async def complete(client: StackClient, service: str) -> None:
    """The round in the background."""
    declared = client.services[service].erasing
    assert declared is not None
    await erasures.complete_waiting(client.context(service), declared)
    await client.delivered()


async def waiting(client: StackClient, service: str, person: Person) -> str | None:
    """What keeps a worker in a service; None once erased there."""
    rows = [row for row in await state_of(client, service) if row[0] == person.worker]
    assert len(rows) == 1, service
    assert (rows[0][1] is None) == bool(rows[0][2])
    return rows[0][2] or None


async def test_a_case_that_was_filed_meanwhile_goes_its_way_before_the_worker_is_erased(
    client: StackClient,
) -> None:
    """A claim was filed while enrolment decided: it is determined, graded and paid as any other."""
    late = await hurt(client, 75)
    await client.consume("claims", erased_event(client, "claims", late))
    await complete(client, "claims")
    assert await waiting(client, "claims", late) == f"CLAIM_OPEN {late.claim}"
    assert (await get_claim(client, late)).description == word(75, "description")
    assert await client.broken_common("claims") == []

    await determine(client, late)
    await client.benefits("fund_officer").GrantExpense(bill(client, late, "1"))
    await complete(client, "claims")

    assert (await get_claim(client, late)).description == ERASED
    assert [await waiting(client, name, late) for name in ("claims", "grading")] == [None, None]
    kept = await waiting(client, "benefits", late)
    assert kept is not None
    assert kept.startswith("AWARD_IN_PAYMENT awards/")
    run = await client.benefits("fund_officer").InstructPayments(
        benefits_pb2.InstructPaymentsRequest(
            request_id=client.new_id(), month=month_to_wire(Month(2025, 11))
        )
    )
    await complete(client, "benefits")
    assert run.payment_count == 1
    assert await waiting(client, "benefits", late) is None
    for name in HOLDERS:
        assert await client.broken_common(name) == [], name


async def test_a_service_that_dies_while_it_erases_has_erased_nothing_or_all(
    client: StackClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enrolment dies before and after its commit, claims dies before its own."""
    worker = Person(f"workers/{await enrol(client, SWIFT, number=76)}", 76)
    request = erasing(client, worker)
    deaths: list[str] = []

    async def die(place: str) -> None:
        if place not in deaths:
            deaths.append(place)
            raise SystemError(place)

    with monkeypatch.context() as patch:
        patch.setattr(requests, "failpoint", die)
        patch.setattr(receiver, "failpoint", die)
        for _ in range(4):
            try:
                erasure = await client.enrolment("administrator").EraseWorker(request)
                break
            except Exception:  # noqa: BLE001 - the client sends the request again
                continue
        await client.delivered()

    assert {"requests.before_commit", "requests.after_commit", "listener.before_commit"} <= set(
        deaths
    )
    assert erasure.worker == worker.worker
    for name in ("enrolment", *HOLDERS):
        question = "select from erasure where name = :name and erase_time is not null"
        assert len(await client.rows(name, question, name=worker.worker)) == 1, name
        assert await client.broken_common(name) == [], name


async def test_a_copy_of_the_database_brings_no_key_back_unseen(client: StackClient) -> None:
    late = Person(f"workers/{await enrol(client, SWIFT, number=77)}", 77)
    url = client.stack.settings.database_url
    question = "select id, wrapped, wrapping_key from enrolment.data_key order by create_time desc"
    async with await psycopg.AsyncConnection.connect(url) as connection:
        copy = await (await connection.execute(f"{question} limit 1")).fetchone()
    assert copy is not None
    await erase(client, late)

    async def restore(wrapped: bytes | None, wrapping_key: str | None) -> None:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.execute("set session_replication_role = replica")
            await connection.execute(
                "update enrolment.data_key set wrapped = %s, wrapping_key = %s where id = %s",
                (wrapped, wrapping_key, copy[0]),
            )

    await restore(copy[1], copy[2])
    try:
        assert await client.broken_common("enrolment") == ["I12-erased"]
    finally:
        await restore(None, None)
    assert await client.broken_common("enrolment") == []
