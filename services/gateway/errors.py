"""Errors as the Connect protocol writes them: code, a sentence, the parts of google.rpc.Status."""

from __future__ import annotations

import base64
import re
from typing import Any

import grpc
from google.protobuf import json_format, symbol_database
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

from services.gateway.problems import (
    AnswerTooLarge,
    BodyTooLarge,
    BodyTooSlow,
    ContentTypeUnknown,
    MethodIsPost,
    MethodUnknown,
    NotOverJson,
)
from services.kernel.problems import Problem
from services.runtime.rpc.error_status import status_of
from services.runtime.rpc.interceptors import DeadlinePassed
from services.runtime.rpc.limits import MESSAGE_BYTES_MAX

_DETAILS_KEY = "grpc-status-details-bin"
# gRPC's own words for a message above the limit.
_TOO_LARGE = "larger than max"
_UNIMPLEMENTED = grpc.StatusCode.UNIMPLEMENTED.value[0]

# By the number of the gRPC code: the word of the protocol and its HTTP status.
CODES: dict[int, tuple[str, int]] = {
    1: ("canceled", 499),
    2: ("unknown", 500),
    3: ("invalid_argument", 400),
    4: ("deadline_exceeded", 504),
    5: ("not_found", 404),
    6: ("already_exists", 409),
    7: ("permission_denied", 403),
    8: ("resource_exhausted", 429),
    9: ("failed_precondition", 400),
    10: ("aborted", 409),
    11: ("out_of_range", 400),
    12: ("unimplemented", 501),
    13: ("internal", 500),
    14: ("unavailable", 503),
    15: ("data_loss", 500),
    16: ("unauthenticated", 401),
}
# Where HTTP has a word of its own, which proxies and tools know.
_HTTP_STATUS: dict[str, int] = {
    MethodUnknown.reason: 404,
    NotOverJson.reason: 404,
    MethodIsPost.reason: 405,
    BodyTooSlow.reason: 408,
    BodyTooLarge.reason: 413,
    ContentTypeUnknown.reason: 415,
}
ENGLISH, CHINESE = "en", "zh-CN"
_ACCEPTED = re.compile(r"\s*([A-Za-z*]+)(?:-[\w-]+)?\s*(?:;\s*q=([\d.]{1,5}))?\s*")


def language_of(accept_language: str) -> str:
    """The language of the sentence: what the caller likes best of the two, else English."""
    best = {"en": 0.0, "zh": 0.0}
    for part in accept_language[:500].split(","):
        match = _ACCEPTED.fullmatch(part)
        if match and match[1].lower() in best:
            try:
                weight = float(match[2] or 1)
            except ValueError:
                continue
            best[match[1].lower()] = max(best[match[1].lower()], weight)
    return CHINESE if best["zh"] > best["en"] else ENGLISH


def status_of_error(error: Exception, service: str, path: str, seconds: float) -> status_pb2.Status:
    """The status of a refusal: of a service as it came, of the gateway under the service's name.

    `seconds` is how long the call of `path` was allowed to take.
    """
    if isinstance(error, grpc.aio.AioRpcError):
        for key, value in error.trailing_metadata() or ():
            if key == _DETAILS_KEY and isinstance(value, bytes):
                return status_pb2.Status.FromString(value)
        return _status_without_details(error, service, path, seconds)
    status = status_of(error, service)
    if isinstance(error, MethodUnknown | NotOverJson):
        status.code = _UNIMPLEMENTED
    return status


def _status_without_details(
    error: grpc.aio.AioRpcError, service: str, path: str, seconds: float
) -> status_pb2.Status:
    """What gRPC itself refused: it has a code and a text for programmers alone."""
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return status_of(DeadlinePassed(most_seconds=f"{seconds:g}"), service)
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE in (error.details() or ""):
        return status_of(AnswerTooLarge(max_bytes=MESSAGE_BYTES_MAX), service)
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return status_of_error(MethodUnknown(path=path), service, path, seconds)
    return status_of(error, service)


def error_of(status: status_pb2.Status, language: str) -> dict[str, Any]:
    """The error as JSON, with the sentence in the caller's language."""
    sentence = status.message
    for detail in status.details:
        localized = error_details_pb2.LocalizedMessage()
        if language == CHINESE and detail.Unpack(localized):
            sentence = localized.message
    return {
        "code": code_of(status),
        "message": sentence,
        "details": [_detail(each) for each in status.details],
    }


def code_of(status: status_pb2.Status) -> str:
    """The protocol's word for the code."""
    return CODES.get(status.code, CODES[2])[0]


def http_status_of(status: status_pb2.Status) -> int:
    """The HTTP status: that of the reason, or that of the code."""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info) and info.reason in _HTTP_STATUS:
            return _HTTP_STATUS[info.reason]
    return CODES.get(status.code, CODES[2])[1]


def retry_seconds(status: status_pb2.Status) -> int:
    """After how many seconds a repeat may succeed; 0 where the service does not say."""
    retry = error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Unpack(retry):
            return max(1, int(retry.retry_delay.seconds))
    return 0


def _detail(packed: AnyMessage) -> dict[str, Any]:
    """A part of the status: its bytes for programs with the protos, `debug` for all others."""
    name = packed.TypeName()
    value = base64.b64encode(packed.value).decode().rstrip("=")
    try:
        message = symbol_database.Default().GetSymbol(name).FromString(packed.value)
    except KeyError:
        return {"type": name, "value": value}
    return {"type": name, "value": value, "debug": json_format.MessageToDict(message)}


def is_fault(error: Exception) -> bool:
    """Whether an error is none that a caller or a service in trouble explains."""
    return not isinstance(error, Problem | grpc.aio.AioRpcError)
