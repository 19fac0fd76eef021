"""What the protos say about personal fields: who may have their keys, and what rests encrypted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from oip.type.v1 import type_pb2

from services.__main__ import all_services
from services.enrolment.clients import HOLDERS
from services.runtime.events.personal_fields import consumers_of, names_of
from tests.architecture.test_doors import files
from tests.contract.test_bounds import fields_of
from tests.support.at_rest import CHANGES, is_personal

ROOT = Path(__file__).parents[2]
# Texts with a form of their own, which hold no words: ids, resource names, codes of places.
NAMES = {
    "accident_report",
    "areas",
    "batch_id",
    "bill",
    "claim",
    "credit_code",
    "distinct_from",
    "holder",
    "member",
    "merged_claim",
    "name",
    "names",
    "order_no",
    "payment_run",
    "place_of_injury",
    "platform",
    "pooling_area",
    "previous",
    "request_id",
    "served_order",
    "specialist",
    "survivor_id",
    "worker",
    "wrapping_key",
}
EVENTS = [
    message
    for file in files()
    if file.name.endswith("/events.proto")
    for message in file.message_types_by_name.values()
    if names_of(message)
]
TEXTS = {
    field.full_name: field
    for method in CHANGES
    for field in fields_of(method.input_type)
    if field.type == FieldDescriptor.TYPE_STRING
}


@pytest.mark.parametrize("field", TEXTS.values(), ids=TEXTS)
def test_every_text_of_a_change_is_a_name_or_encrypted_or_says_why_not(
    field: FieldDescriptor,
) -> None:
    why = field.GetOptions().Extensions[type_pb2.clear]

    assert [field.name in NAMES, is_personal(field), bool(why)].count(True) == 1, (
        "a text that people write is (oip.type.v1.personal), or (oip.type.v1.clear) says why it"
        " rests as it was sent; a test writes a word through each personal field"
    )


@pytest.mark.parametrize("event", EVENTS, ids=[event.full_name for event in EVENTS])
def test_the_consumers_of_an_event_with_personal_fields_are_declared(event: Descriptor) -> None:
    option = type_pb2.consumers
    declared = list(event.GetOptions().Extensions[option])
    consuming = [
        service.name
        for service in all_services()
        if event.full_name in {message.DESCRIPTOR.full_name for message in service.consumed}
    ]

    assert sorted(declared) == sorted(consuming), "only these get the data keys"
    assert "sealed" in event.fields_by_name
    assert "DataKeyErased" in event.file.message_types_by_name, "who has copies has to drop them"


def test_consumers_stand_only_at_events_with_personal_fields() -> None:
    option = type_pb2.consumers
    others = [
        message.full_name
        for file in files()
        for message in file.message_types_by_name.values()
        if message.GetOptions().Extensions[option] and message not in EVENTS
    ]

    assert others == []


def test_only_consumers_get_keys() -> None:
    assert consumers_of("claims") == {"grading", "benefits"}
    assert consumers_of("grading") == {"benefits"}
    assert consumers_of("fund") == frozenset()


def test_every_service_that_holds_data_of_workers_erases_them() -> None:
    """Staff holds data of members alone, whose entries stay (ADR 28)."""
    encrypting = {
        path.relative_to(ROOT / "services").parts[0]
        for path in (ROOT / "services").rglob("*.py")
        if re.search(r"data_keys\.of_persons?\(", path.read_text(encoding="utf-8"))
    } - {"runtime", "staff", "enrolment"}
    erasing = {service.name for service in all_services() if service.erasing is not None}

    assert encrypting == erasing == set(HOLDERS)
