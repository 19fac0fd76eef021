"""The bounds of every field of every request, by the descriptors; no value beyond them passes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from oip.claims.v1 import claims_pb2
from oip.enrolment.v1 import enrolment_pb2
from oip.type.v1 import type_pb2

from services.client.upload.workers import NUMBERS_PER_LOOK_UP
from services.kernel.problems import Kind, Problem
from services.runtime.rpc.bounds import bounds_of, check_of
from tests.architecture.test_doors import files
from tests.contract.test_access import METHODS
from tests.support.odd_values import Odd, filled, usual_value, walk

TODAY = date(2025, 7, 20)
LIST_MAX, TEXT_MAX = 10_000, 4_000
UNARY = [method for method in METHODS if not method.client_streaming]


def fields_of(descriptor: Descriptor) -> Iterator[FieldDescriptor]:
    for field in descriptor.fields:
        yield field
        if field.message_type is not None and field.message_type.file.package.startswith("oip."):
            yield from fields_of(field.message_type)


REQUESTS = {field.full_name: field for method in METHODS for field in fields_of(method.input_type)}


def refusal(request: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        check_of(request.DESCRIPTOR, lambda: TODAY)(request)
    assert caught.value.kind is Kind.MALFORMED
    return caught.value


@pytest.mark.parametrize("field", REQUESTS.values(), ids=REQUESTS)
def test_every_list_has_a_maximum_and_every_text_a_maximum_length(field: FieldDescriptor) -> None:
    bounds = bounds_of(field)

    if field.is_repeated:
        assert 1 <= bounds.max_items <= LIST_MAX
    if field.type in {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}:
        assert 1 <= bounds.max_length <= TEXT_MAX


@pytest.mark.parametrize("method", UNARY, ids=[m.full_name.removeprefix("oip.") for m in UNARY])
def test_no_value_that_no_field_may_hold_passes(method: MethodDescriptor) -> None:
    check = check_of(method.input_type, lambda: TODAY)

    passing = [
        str(odd)
        for odd in walk(method, _usual)
        if odd.nonsense and not odd.path.endswith("page_token") and _passes(check, odd)
    ]

    check(filled(method.input_type, _usual, ""))
    assert passing == []


def test_bounds_stand_only_where_a_request_has_them() -> None:
    bounded = {
        field.full_name
        for file in files()
        for message in file.message_types_by_name.values()
        for field in _all_fields(message)
        if field.GetOptions().HasExtension(type_pb2.bounds)
    }

    assert sorted(bounded - set(REQUESTS)) == []


def test_the_client_asks_for_as_many_numbers_as_a_request_takes() -> None:
    numbers = REQUESTS["oip.enrolment.v1.LookUpWorkersRequest.worker_numbers"]

    assert bounds_of(numbers).max_items == NUMBERS_PER_LOOK_UP


def test_a_refusal_names_the_path_of_the_field_in_both_languages() -> None:
    rows = [enrolment_pb2.EnrolWorkersRequest.Row() for _ in range(3)]
    rows[2].worker_number = "a\u202eb"

    problem = refusal(enrolment_pb2.EnrolWorkersRequest(rows=rows))

    assert (problem.reason, problem.field) == ("UNSEEN_CHARACTER", "rows[2].worker_number")
    assert "rows[2].worker_number has the character U+202E" in problem.sentence
    assert problem.sentence_zh.startswith("行第 3 项的人员编号含有不可见的字符 U+202E")


def test_a_text_with_lines_takes_lines_and_no_other_text_does() -> None:
    request = claims_pb2.ReportAccidentRequest(description="A bus.\nIt rained.\n")
    check_of(request.DESCRIPTOR, lambda: TODAY)(request)
    request.worker = "workers/1\n"

    assert refusal(request).field == "worker"


def test_somebody_was_born_before_the_scheme_and_not_tomorrow() -> None:
    request = claims_pb2.CreateClaimRequest()
    survivor = request.survivors.add()
    survivor.birth_date.year, survivor.birth_date.month, survivor.birth_date.day = 1931, 5, 1
    check_of(request.DESCRIPTOR, lambda: TODAY)(request)
    survivor.birth_date.year, survivor.birth_date.month, survivor.birth_date.day = 2025, 7, 21

    problem = refusal(request)

    assert (problem.reason, problem.field) == ("OUT_OF_RANGE", "survivors[0].birth_date")


def _all_fields(message: Descriptor) -> Iterator[FieldDescriptor]:
    yield from message.fields
    for nested in message.nested_types:
        yield from _all_fields(nested)


def _passes(check: Any, odd: Odd) -> bool:
    try:
        check(odd.request)
    except Problem:
        return False
    return True


def _usual(_path: str, field: FieldDescriptor) -> Any:
    return usual_value(field)
