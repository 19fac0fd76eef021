from datetime import date

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from sqlalchemy import exc

from services.kernel.parameters import ParameterNotFound
from services.kernel.problems import Kind, Malformed, NotFound, Problem
from services.runtime.rpc.error_status import INTERNAL_TEXT, log_fields, status_of


class Orig(Exception):  # noqa: N818 - stands for psycopg's own
    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("the text of the database")
        self.sqlstate = sqlstate


def database_error(sqlstate: str | None, kind: type[exc.DBAPIError] = exc.DBAPIError) -> Exception:
    return kind("select 1", {}, Orig(sqlstate))


def code_of(status: status_pb2.Status) -> str:
    return next(code.name for code in grpc.StatusCode if code.value[0] == status.code)


def reason_of(status: status_pb2.Status) -> str:
    error_info = error_details_pb2.ErrorInfo()
    next(detail for detail in status.details if detail.Is(error_info.DESCRIPTOR)).Unpack(error_info)
    return str(error_info.reason)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (database_error("40001"), "ABORTED"),
        (database_error("40P01"), "ABORTED"),
        (database_error("55P03"), "ABORTED"),
        (database_error("57014"), "RESOURCE_EXHAUSTED"),
        (database_error("53100"), "RESOURCE_EXHAUSTED"),
        (database_error("57P01"), "UNAVAILABLE"),
        (database_error("08006"), "UNAVAILABLE"),
        (database_error(None, exc.OperationalError), "UNAVAILABLE"),
        (database_error("23505", exc.IntegrityError), "INTERNAL"),
        (RuntimeError("a bug"), "INTERNAL"),
        (ExceptionGroup("x", [RuntimeError("a bug")]), "INTERNAL"),
    ],
)
def test_a_failure_below_becomes_a_status_that_says_what_to_do(error: Exception, code: str) -> None:
    status = status_of(error, "claims")

    assert code_of(status) == code
    assert "the text of the database" not in str(status)
    assert "a bug" not in str(status)


def test_a_parameter_that_the_law_lacks_is_named_with_day_and_place() -> None:
    status = status_of(ParameterNotFound("average_wage", date(2022, 6, 30), "440100"), "benefits")

    assert (code_of(status), reason_of(status)) == (
        "FAILED_PRECONDITION",
        "LEGAL_PARAMETER_MISSING",
    )
    for fact in ("average_wage", "2022-06-30", "440100"):
        assert fact in status.message


def test_a_fault_has_one_fixed_text() -> None:
    assert status_of(KeyError("x"), "claims").message == INTERNAL_TEXT


def test_another_service_that_is_away_makes_this_one_unavailable() -> None:
    error = grpc.aio.AioRpcError(grpc.StatusCode.DEADLINE_EXCEEDED)

    assert code_of(status_of(error, "claims")) == "UNAVAILABLE"


def test_a_refusal_of_another_service_that_nobody_foresaw_is_a_fault() -> None:
    error = grpc.aio.AioRpcError(grpc.StatusCode.NOT_FOUND, details="secret")
    status = status_of(error, "claims")

    assert code_of(status) == "INTERNAL"
    assert "secret" not in str(status)


def test_the_domain_of_an_error_is_the_service() -> None:
    status = status_of(NotFound(name="claims/c1"), "claims")
    error_info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(error_info)

    assert (error_info.domain, error_info.reason, dict(error_info.metadata)) == (
        "claims.oip",
        "NOT_FOUND",
        {"name": "claims/c1"},
    )


def test_a_status_always_fits_into_the_metadata_it_travels_in() -> None:
    status = status_of(Malformed.of("rows", "LONG", "x" * 100_000, "字" * 100_000), "orders")

    assert status.ByteSize() * 4 / 3 < 8 * 1024


def test_a_character_that_postgresql_cannot_hold_is_the_callers_to_correct() -> None:
    error = exc.DataError("insert", {}, Exception("text fields cannot contain NUL (0x00) bytes"))

    assert reason_of(status_of(error, "claims")) == "UNREADABLE"


def test_a_database_error_is_logged_without_the_values_that_its_text_quotes() -> None:
    secret = "DETAIL: Failing row contains (440106199001011234)"
    behind = database_error("23505")
    behind.__cause__ = ValueError(secret)
    error = RuntimeError(secret)
    error.__context__ = behind

    fields = log_fields(error)

    assert (fields["error"], fields["sqlstate"]) == ("Orig", "23505")
    assert "440106" not in str(fields)


def test_another_fault_is_logged_with_its_trace() -> None:
    error = KeyError("x")

    assert log_fields(error) == {"exc_info": error}


def test_what_is_too_large_has_the_code_of_overload_but_no_time_to_try_again() -> None:
    class Large(Problem):
        kind, reason = Kind.TOO_LARGE, "LARGE"
        message, message_zh = "Too large.", "过大。"

    too_large, busy = status_of(Large(), "orders"), status_of(database_error("53100"), "orders")

    assert code_of(too_large) == code_of(busy) == "RESOURCE_EXHAUSTED"
    retry = error_details_pb2.RetryInfo.DESCRIPTOR
    assert not any(detail.Is(retry) for detail in too_large.details)
    assert any(detail.Is(retry) for detail in busy.details)
