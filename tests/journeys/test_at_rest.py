"""Nothing that is said of a person rests in the clear: not in a table, the WAL, the streams, a log.

Words through every field that the protos call personal, in requests as people make them; then every
column of every schema and every file of the deployment is searched for all that was sent in one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from oip.claims.v1 import claims_pb2
from oip.operations.v1 import operations_pb2

from services.__main__ import all_services
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.storage.key_file import add_key
from tests.integration.claims.conftest import A
from tests.support import at_rest
from tests.support.at_rest_awards import say_everything
from tests.support.at_rest_case import BIRTH, Case, recording_into
from tests.support.limits import ROOMY
from tests.support.stack_client import stack_client
from tests.support.staff import store_entries, usual_entries


@pytest.fixture(scope="module")
async def case(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Case]:
    folder = tmp_path_factory.mktemp("at-rest")
    clock = SetClock(datetime(2025, 7, 16, 1, 0, tzinfo=UTC))
    cases: list[Case] = []
    with recording_into(cases):
        async with stack_client(
            all_services(), Settings(state_dir=folder, limits=ROOMY), clock
        ) as client:
            running = client.stack
            await store_entries(running.settings.database_url, running.contexts, usual_entries())
            case = Case(client, folder)
            cases.append(case)
            await say_everything(case)
            yield case


def test_a_word_went_through_every_personal_field(case: Case) -> None:
    """The protos say which they are; a new one needs a call here."""
    assert at_rest.personal_fields() - case.sent == set()


async def test_no_table_has_what_was_said_of_a_person(case: Case) -> None:
    url = case.client.stack.settings.database_url

    assert len(case.words) > 60
    assert await at_rest.in_tables(url, {"known": A.encode()})
    assert await at_rest.in_tables(url, case.words) == []


async def test_no_file_has_what_was_said_of_a_person(case: Case) -> None:
    await at_rest.flushed(case.client.stack.settings.database_url)
    known = {trace.place for trace in at_rest.in_files([case.folder], {"known": A.encode()})}

    assert any("pg_wal" in place for place in known)
    assert any("jetstream" in place for place in known)
    assert at_rest.in_files([case.folder], case.words) == []


async def test_the_persons_who_may_read_it_still_do(case: Case) -> None:
    client = case.client
    listed = await client.claims("adjudicator").ListClaims(claims_pb2.ListClaimsRequest())
    texts = [
        (await client.claims("adjudicator").GetClaim(claims_pb2.GetClaimRequest(name=row.name)))
        for row in listed.claims
    ]

    assert any(BIRTH in [one.birth_date for one in claim.survivors] for claim in texts)
    for service in client.services:
        assert await client.broken_common(service) == [], service
        assert await client.broken(service) == [], service


async def test_a_new_wrapping_key_changes_no_ciphertext_and_no_hash(case: Case) -> None:
    client = case.client
    questions = {
        "claims": "select string_agg(encode(description, 'hex'), '' order by claim_id) from claim",
        "grading": "select string_agg(encode(signature, 'hex'), '' order by id) from outbox",
    }
    before = {name: await client.rows(name, text) for name, text in questions.items()}
    newest = add_key(client.stack.settings.keys_path)
    for service in client.services:
        stub, remaining = client.operations(service), 1
        while remaining:
            answer = await stub.RewrapDataKeys(
                operations_pb2.RewrapDataKeysRequest(
                    request_id=client.new_id(), wrapping_key=newest, data_key_count_max=2
                )
            )
            remaining = answer.remaining_count

    for service in client.services:
        keys = await client.operations(service).GetDataKeys(operations_pb2.GetDataKeysRequest())
        assert [row.data_key_count > 0 for row in keys.wrapped] == [False, True], service
        assert await client.broken_common(service) == [], service
    assert {name: await client.rows(name, text) for name, text in questions.items()} == before
