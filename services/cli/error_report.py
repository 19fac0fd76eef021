"""The one place that turns an error into a sentence and an exit code.

Exit codes: 0 done, or stored until another person signs it, 1 a check failed, 2 refused or used
wrongly, 3 a service could not be reached, 4 done, but some rows were refused, 130 stopped with
Ctrl-C, 141 nobody reads the output any more.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any, cast

import grpc
import typer
from pydantic import ValidationError
from typer.core import TyperGroup
from typer.exceptions import TyperException

from services.cli.connection import (
    EXIT_INTERRUPTED,
    EXIT_PIPE_CLOSED,
    EXIT_REFUSED,
    EXIT_UNREACHABLE,
    Refused,
    sentence_of,
    unanswered_request,
)
from services.cli.usage import usage_zh
from services.cli.view import language, language_in, options_first, say
from services.client.channels import CallFailed, RemoteProblem, problem_of
from services.kernel.phrases import Language, service_label
from services.kernel.problems import Problem
from services.runtime.base.refusals import StartRefusedError
from services.runtime.base.settings import Settings, sentence_of_setting

SECOND_SIGNATURE_NEEDED = "SECOND_SIGNATURE_NEEDED"
# How Python keeps a byte of an argument that is no UTF-8.
_FOREIGN_BYTE = re.compile("[\udc80-\udcff]")
_SHOWN_LENGTH = 60
# What protobuf says of a number that a field of its type cannot hold.
_TOO_LARGE = re.compile(r"Value out of range: (-?[0-9]{1,40})[0-9]*")
_HANDSHAKE = re.compile("handshake|CERTIFICATE_VERIFY|SSL_ERROR", re.IGNORECASE)


class ErrorReportingGroup(TyperGroup):
    """The commands of `oip`: options may stand anywhere, and errors end with a sentence."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the options that may stand anywhere to the front."""
        arguments = options_first(args)
        try:
            return super().parse_args(ctx, [*arguments])
        except TyperException as error:
            _exit_for_usage(error, language_in(arguments))
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a refusal ends it without a traceback."""
        try:
            return super().invoke(ctx)
        except grpc.RpcError as error:
            problem = _handshake_problem(error) or _named_problem(error) or problem_of(error)
            if problem.reason == SECOND_SIGNATURE_NEEDED:
                wait_for_signature(problem)
            else:
                _end(problem)
        except RemoteProblem as problem:
            _end(problem)
        except (Problem, Refused) as problem:
            _exit(sentence_of(problem), EXIT_REFUSED)
        except TyperException as error:
            _exit_for_usage(error, language())
            raise
        except BrokenPipeError:
            _end_without_reader()
        except (StartRefusedError, ValueError) as error:
            sentence = _of_environment(error)
            if not sentence:
                raise
            _exit(sentence, EXIT_REFUSED)
        except KeyboardInterrupt:
            _exit(_interrupted(), EXIT_INTERRUPTED)


def _exit_for_usage(error: TyperException, language: Language) -> None:
    """End with what is wrong in a command as it is written; in English the parser says it."""
    sentence = usage_zh(error) if language is Language.ZH else None
    if sentence is not None:
        _exit(sentence, EXIT_REFUSED)


def _end_without_reader() -> None:
    """End as programs do whose output nobody reads any more: without a word."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(EXIT_PIPE_CLOSED)


def _end(problem: RemoteProblem) -> None:
    sentence = sentence_of(problem)
    if not problem.is_unreachable:
        _exit(sentence, EXIT_REFUSED)
    if how := _how_to_repeat():
        sentence = f"{sentence}\n{how}"
    _exit(sentence, EXIT_UNREACHABLE)


def _of_environment(error: Exception) -> str:
    """What is wrong with a setting or an argument; empty for a fault of the program."""
    if isinstance(error, StartRefusedError):
        return str(error)
    if isinstance(error, ValidationError) and error.title == Settings.__name__:
        return sentence_of_setting(error)
    if isinstance(error, UnicodeEncodeError) and _FOREIGN_BYTE.search(error.object):
        return _no_text(error.object)
    if (found := _TOO_LARGE.fullmatch(str(error))) is not None:
        return say(
            f"{found[1]} is beyond what the field can hold; write a smaller number.",
            f"{found[1]} 超出该字段的取值范围; 请填写较小的数。",
        )
    return ""


def _no_text(argument: str) -> str:
    text = _FOREIGN_BYTE.sub("\ufffd", argument)[:_SHOWN_LENGTH]
    return say(
        f"{text} has bytes that are no text in UTF-8; write it again.",
        f"{text} 含有不是 UTF-8 文本的字节; 请重新填写。",
    )


def _interrupted() -> str:
    stopped = say(
        "Stopped. What was done before stays; run the same command again to go on.",
        "已停止。此前已完成的内容保留; 再次执行同一命令即可继续。",
    )
    how = _how_to_repeat()
    return f"{stopped}\n{how}" if how else stopped


def _how_to_repeat() -> str:
    """How to learn the outcome of a change that was sent and has no answer; empty if none was."""
    request_id = unanswered_request()
    if not request_id:
        return ""
    return say(
        f"Whether the change was made is not known; repeat the command with --request-id "
        f"{request_id}: it is made once.",
        f"尚不知该变更是否已办理; 请附加 --request-id {request_id} 重复同一命令, 不会重复办理。",
    )


def wait_for_signature(problem: RemoteProblem) -> None:
    """What was asked is stored; that another person has to sign it is no failure."""
    typer.echo(sentence_of(problem))
    typer.echo(f"  oip acts show {problem.metadata['pending_act']}")


def _handshake_problem(error: grpc.RpcError) -> RemoteProblem | None:
    """The problem of two sides that do not trust each other; None for any other error."""
    call = cast("grpc.aio.AioRpcError", error)
    if call.code() is not grpc.StatusCode.UNAVAILABLE or not _HANDSHAKE.search(
        call.details() or ""
    ):
        return None
    return RemoteProblem(
        grpc.StatusCode.UNAVAILABLE,
        "TLS_HANDSHAKE_FAILED",
        f"{_of(error)} and the command line do not trust each other; check the authority, the "
        "certificate and the host name (--tls-authority, --tls-certificate, --tls-key).",
        f"与{_of_zh(error)} 双方证书互不信任; 请检查证书颁发机构、客户端证书和主机名 "
        "(--tls-authority, --tls-certificate, --tls-key)。",
    )


def _named_problem(error: grpc.RpcError) -> RemoteProblem | None:
    """The problem of a service that gave no answer, named; None if it answered."""
    problem = problem_of(error)
    if not isinstance(error, CallFailed) or problem.reason != problem.code.name:
        return None
    if problem.code is grpc.StatusCode.UNAVAILABLE:
        return RemoteProblem(
            problem.code,
            problem.reason,
            f"{_of(error)} cannot be reached; start it, or check its address, and try again.",
            f"无法连接{_of_zh(error)}; 请启动该服务或核对其地址后重试。",
        )
    if problem.code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return RemoteProblem(
            problem.code,
            problem.reason,
            f"{_of(error)} did not answer in time; try again.",
            f"{_of_zh(error)} 未在时限内应答; 请重试。",
        )
    return None


def _of(error: grpc.RpcError) -> str:
    if isinstance(error, CallFailed):
        return f"The {error.service} service at {error.address}"
    return "The service"


def _of_zh(error: grpc.RpcError) -> str:
    if not isinstance(error, CallFailed):
        return "服务"
    return f"{service_label(error.service).text(Language.ZH)}服务 ({error.address})"


def _exit(sentence: str, code: int) -> None:
    typer.echo(sentence, err=True)
    raise typer.Exit(code)
