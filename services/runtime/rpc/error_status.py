"""Maps exceptions to google.rpc.Status; the only place that does.

A Problem keeps its reason, facts and sentences. An unavailable or overloaded database or service
has a separate status, because the caller has to repeat the call with the same request id.
Everything else is INTERNAL with a fixed text and is logged in full.
"""

from __future__ import annotations

import traceback
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from sqlalchemy import exc

from services.kernel.phrases import service_label
from services.kernel.problems import Kind, Malformed, Problem
from services.runtime.storage.database import Overloaded, sqlstate

RETRY_SECONDS = 1
# A status travels in trailing metadata, which gRPC limits to 8 KiB.
TEXT_BYTES_MAX = 600
FACT_BYTES_MAX = 180
FACT_COUNT_MAX = 8
CUT = "..."
INTERNAL_TEXT = "Something went wrong inside the service; it has been logged. Try again later."
INTERNAL_TEXT_ZH = "服务内部出错, 已记录日志; 请稍后再试。"

# SQLSTATEs (PostgreSQL manual, appendix A) after which a repeat may succeed.
_RACED = frozenset({"40001", "40P01", "55P03"})
_BUSY = frozenset({"57014", "53100", "53200", "53300", "53400"})
_UNAVAILABLE = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "25P04"})


class Raced(Problem):
    """Another call changed the same record at the same time."""

    kind, reason = Kind.RACED, "RACED"
    message = "Another change got in between; repeat the call with the same request id."
    message_zh = "与其他操作冲突; 请以相同的请求编号重试。"


class Unreadable(Problem):
    """The request is not a message of the method's type."""

    kind, reason = Kind.MALFORMED, "UNREADABLE"
    message = "The request cannot be read; send the message that the proto names for this method."
    message_zh = "无法解析请求; 请发送接口定义规定的消息。"


def status_of(error: BaseException, service: str) -> status_pb2.Status:
    """The status for an exception that a handler of `service` raised."""
    problem = as_problem(error, service)
    if problem is not None:
        return _status_of_problem(problem, service)
    if is_unavailable(error):
        return _status(
            grpc.StatusCode.UNAVAILABLE,
            "UNAVAILABLE",
            "A part of the system is not reachable; repeat the call with the same request id.",
            "系统暂时不可用; 请以相同的请求编号重试。",
            service=service,
        )
    code = grpc.StatusCode.INTERNAL
    return _status(code, "INTERNAL", INTERNAL_TEXT, INTERNAL_TEXT_ZH, service=service)


def as_problem(error: BaseException, service: str) -> Problem | None:
    """The refusal behind an exception; None if the exception is a fault."""
    if isinstance(error, Problem):
        return error
    state = sqlstate(error)
    if state in _RACED:
        return Raced()
    if state in _BUSY:
        return Overloaded(service=service_label(service))
    # PostgreSQL's text holds every character but NUL, which psycopg refuses before it sends.
    if isinstance(error, exc.DataError) and "NUL" in str(error.orig):
        return Unreadable(field="request")
    return None


def is_unavailable(error: BaseException) -> bool:
    """Whether the database or another service was unreachable: the outcome is unknown."""
    if isinstance(error, grpc.aio.AioRpcError):
        return error.code() in {
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.DEADLINE_EXCEEDED,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        }
    if not isinstance(error, exc.DBAPIError):
        return False
    state = sqlstate(error)
    if error.connection_invalidated or state in _UNAVAILABLE or state.startswith("08"):
        return True
    # psycopg has no SQLSTATE if the server did not answer.
    return isinstance(error, exc.OperationalError) and not state


def log_fields(error: BaseException) -> dict[str, Any]:
    """The log fields of a fault: its full trace, without the texts of the database.

    Those texts quote the values of the row.
    """
    database_error = _database_error_in(error)
    if database_error is None:
        return {"exc_info": error}
    diagnosis = getattr(database_error.orig, "diag", None)
    return {
        "error": type(database_error.orig).__name__,
        "sqlstate": sqlstate(database_error),
        "constraint": getattr(diagnosis, "constraint_name", None) or "",
        "trace": "".join(traceback.format_tb(error.__traceback__)),
    }


def _database_error_in(error: BaseException) -> exc.DBAPIError | None:
    """The first database error in an exception's chain, which a printed trace would show."""
    link: BaseException | None = error
    while link is not None and not isinstance(link, exc.DBAPIError):
        link = link.__cause__ or link.__context__
    return link


def _status_of_problem(problem: Problem, service: str) -> status_pb2.Status:
    code = grpc.StatusCode[problem.kind.code]
    status = _status(
        code,
        problem.reason,
        problem.sentence,
        problem.sentence_zh,
        service=service,
        facts=problem.facts,
    )
    if problem.kind is Kind.MALFORMED:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=problem.field,
            description=_short(problem.sentence),
            reason=problem.facts["what"] if isinstance(problem, Malformed) else problem.reason,
        )
        _add(status, error_details_pb2.BadRequest(field_violations=[violation]))
    if problem.kind is Kind.OVERLOADED:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.seconds = int(problem.facts.get("retry_seconds", RETRY_SECONDS))
        _add(status, retry)
    return status


def _status(
    code: grpc.StatusCode,
    reason: str,
    sentence: str,
    sentence_zh: str,
    *,
    service: str,
    facts: dict[str, str] | None = None,
) -> status_pb2.Status:
    status = status_pb2.Status(code=code.value[0], message=_short(sentence))
    domain = f"{service}.oip"
    first = list((facts or {}).items())[:FACT_COUNT_MAX]
    metadata = {name: _short(value, FACT_BYTES_MAX) for name, value in first}
    _add(status, error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata))
    localized = error_details_pb2.LocalizedMessage(locale="zh-CN", message=_short(sentence_zh))
    _add(status, localized)
    return status


def _short(text: str, byte_count: int = TEXT_BYTES_MAX) -> str:
    """The text; a longer one ends at a character boundary, with three dots, after `byte_count`."""
    whole = text.encode()
    if len(whole) <= byte_count:
        return text
    return whole[: byte_count - len(CUT)].decode(errors="ignore") + CUT


def _add(status: status_pb2.Status, detail: Message) -> None:
    packed = any_pb2.Any()
    packed.Pack(detail)
    status.details.append(packed)
