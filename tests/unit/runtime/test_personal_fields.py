"""Personal fields of events: ciphertext on the way, whole for the consumer."""

from __future__ import annotations

import pytest
from google.type import date_pb2
from oip.claims.v1 import claims_pb2, events_pb2
from oip.grading.v1 import events_pb2 as grading_events
from oip.grading.v1 import grading_pb2

from services.runtime.events import personal_fields
from services.runtime.storage.crypto import (
    ColumnCipher,
    DataKey,
    DecryptionError,
    unwrap_with,
    wrap_with,
)
from services.runtime.storage.key_file import Keys
from services.runtime.storage.key_sharing import Exchange
from tests.support import toy

KEY = DataKey.random()
CIPHER = ColumnCipher(Keys({"k1": bytes(32)}, "k1", b"i" * 32), DataKey.random())
PERSON = CIPHER.under(KEY)
EVENT = events_pb2.ClaimDetermined(
    claim="claims/c1",
    revision=3,
    worker="workers/1",
    death_date=date_pb2.Date(year=2025, month=7, day=2),
    survivors=[
        claims_pb2.Survivor(
            survivor_id="great-aunt-canary",
            birth_date=date_pb2.Date(year=1931, month=3, day=17),
            totally_disabled=True,
        )
    ],
)


def test_personal_fields_travel_as_ciphertext_and_arrive_whole() -> None:
    sealed = personal_fields.seal(PERSON, EVENT)

    assert b"canary" not in sealed.SerializeToString()
    assert not sealed.survivors
    assert not sealed.HasField("death_date")
    assert (sealed.claim, sealed.revision, personal_fields.key_of(sealed)) == (
        "claims/c1",
        3,
        KEY.id,
    )
    assert personal_fields.open_sealed(CIPHER.knowing([KEY]), sealed) == EVENT


def test_what_is_in_the_clear_is_not_published() -> None:
    with pytest.raises(personal_fields.InTheClearError, match="ClaimDetermined"):
        personal_fields.require_sealed(EVENT)
    personal_fields.require_sealed(personal_fields.seal(PERSON, EVENT))
    personal_fields.require_sealed(toy.BellRang(name="a"))


def test_the_grade_of_a_disability_is_personal() -> None:
    event = grading_events.AppraisalConcluded(
        appraisal="appraisals/a", grade=3, care_dependence=grading_pb2.PARTIAL
    )
    sealed = personal_fields.seal(PERSON, event)

    assert (sealed.grade, sealed.care_dependence) == (0, 0)
    assert personal_fields.open_sealed(PERSON, sealed) == event


def test_an_event_that_is_made_again_has_the_same_bytes() -> None:
    assert personal_fields.seal(PERSON, EVENT) == personal_fields.seal(PERSON, EVENT)


def test_an_event_under_another_key_is_known_by_its_digest() -> None:
    again = personal_fields.seal(CIPHER.under(DataKey.random()), EVENT)
    before = personal_fields.seal(PERSON, EVENT).SerializeToString()
    other = events_pb2.ClaimDetermined.FromString(EVENT.SerializeToString())
    other.survivors[0].totally_disabled = False

    assert personal_fields.is_same(again, before)
    assert not personal_fields.is_same(personal_fields.seal(PERSON, other), before)
    assert not personal_fields.is_same(again, None)


def test_without_the_key_nothing_is_opened() -> None:
    sealed = personal_fields.seal(PERSON, EVENT)
    with pytest.raises(DecryptionError):
        personal_fields.open_sealed(CIPHER, sealed)


def test_a_key_is_shared_with_one_consumer_alone() -> None:
    producer, consumer, listener = Exchange(), Exchange(), Exchange()
    wrapped = wrap_with(
        producer.wrapping_key(consumer.public_key, consumer_public_key=consumer.public_key), KEY
    )
    agreed = consumer.wrapping_key(producer.public_key, consumer_public_key=consumer.public_key)
    stolen = listener.wrapping_key(producer.public_key, consumer_public_key=consumer.public_key)

    assert unwrap_with(agreed, KEY.id, KEY.suite.number, wrapped) == KEY
    with pytest.raises(DecryptionError):
        unwrap_with(stolen, KEY.id, KEY.suite.number, wrapped)
