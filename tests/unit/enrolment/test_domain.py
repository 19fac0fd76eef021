from datetime import date

import pytest

from services.enrolment.domain.enrolments import (
    EnrolledWorkers,
    EnrolmentRow,
    Status,
    enrol,
    refused_rows,
)
from services.enrolment.domain.platforms import platform_of
from services.enrolment.domain.problems import NotACreditCode
from services.enrolment.domain.workers import DocumentKind, mask
from services.kernel.problems import Problem

ADA, BO = "11010519491231002X", "320100199003071236"
NOBODY = EnrolledWorkers({}, {})


def a_row(number: str = "W1", document: str = ADA, **changes: object) -> EnrolmentRow:
    values: dict[str, object] = {
        "worker_number": number,
        "document_kind": DocumentKind.CITIZEN_NUMBER,
        "document_number": document,
        "phone": "13800000000",
        "enrol_date": date(2025, 7, 1),
    }
    return EnrolmentRow(**(values | changes))  # type: ignore[arg-type]


def outcomes(
    rows: list[EnrolmentRow], enrolled: EnrolledWorkers = NOBODY
) -> list[tuple[Status, int]]:
    workers = {row.identity: 1 if row.document_number == ADA else 2 for row in rows}
    return [
        (outcome.status, outcome.worker)
        for outcome in enrol(rows, refused_rows(rows), workers, enrolled)
    ]


def test_a_new_worker_is_created() -> None:
    assert outcomes([a_row()]) == [(Status.CREATED, 1)]


def test_the_same_row_twice_in_a_request_exists_the_second_time() -> None:
    assert outcomes([a_row(), a_row()]) == [(Status.CREATED, 1), (Status.EXISTS, 1)]


def test_an_enrolled_worker_exists() -> None:
    assert outcomes([a_row()], EnrolledWorkers({"W1": 1}, {1: "W1"})) == [(Status.EXISTS, 1)]


@pytest.mark.parametrize("number", ["", " W1", "W1 ", "x" * 65])
def test_a_worker_number_has_1_to_64_characters_without_blanks_around(number: str) -> None:
    assert outcomes([a_row(number)]) == [(Status.BAD_WORKER_NUMBER, 0)]


@pytest.mark.parametrize("document", ["", "110105194912310021", "110105194902300025", "1101051949"])
def test_a_citizen_number_needs_its_check_character_and_a_real_birth_date(document: str) -> None:
    assert outcomes([a_row(document=document)]) == [(Status.BAD_DOCUMENT_NUMBER, 0)]


def test_another_document_has_letters_and_digits_only() -> None:
    passport = DocumentKind.PASSPORT
    rows = [
        a_row("W1", "E12345678", document_kind=passport),
        a_row("W2", "E 123", document_kind=passport),
    ]

    assert [status for status, _ in outcomes(rows)] == [Status.CREATED, Status.BAD_DOCUMENT_NUMBER]


def test_one_number_for_two_people_in_a_request_is_refused_the_second_time() -> None:
    rows = [a_row("W1", ADA), a_row("W1", BO)]

    assert outcomes(rows) == [(Status.CREATED, 1), (Status.NUMBER_TWICE_IN_REQUEST, 0)]


def test_a_number_of_another_person_is_refused() -> None:
    enrolled = EnrolledWorkers({"W1": 2}, {2: "W1"})

    assert outcomes([a_row()], enrolled) == [(Status.EXISTS_WITH_DIFFERENT_PERSON, 0)]


def test_a_person_enrolled_under_another_number_is_refused() -> None:
    enrolled = EnrolledWorkers({"W9": 1}, {1: "W9"})

    assert outcomes([a_row()], enrolled) == [(Status.EXISTS_WITH_DIFFERENT_NUMBER, 0)]


def test_a_bad_row_does_not_affect_the_others() -> None:
    rows = [a_row("W1", "bad"), a_row("W2", BO)]

    assert outcomes(rows) == [(Status.BAD_DOCUMENT_NUMBER, 0), (Status.CREATED, 2)]


def test_a_platform_needs_a_credit_code_whose_check_character_is_right() -> None:
    with pytest.raises(NotACreditCode, match="checks the others"):
        platform_of("91110108MA01ABCD2J", "Swift", [2])


@pytest.mark.parametrize(
    ("name", "industries", "reason"),
    [
        ("", [2], "MALFORMED"),
        ("x" * 201, [2], "MALFORMED"),
        ("Swift", [], "FIELD_MISSING"),
        ("Swift", [0], "MALFORMED"),
        ("Swift", [1, 9], "MALFORMED"),
    ],
)
def test_a_platform_needs_a_name_and_an_industry(
    name: str, industries: list[int], reason: str
) -> None:
    with pytest.raises(Problem) as caught:
        platform_of("91110108MA01ABCD2H", name, industries)

    assert caught.value.reason == reason


def test_a_document_number_is_shown_by_its_last_four_characters() -> None:
    assert mask(ADA) == "**************002X"
