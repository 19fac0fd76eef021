"""Second signatures: what waits, what it will do, and the signature itself."""

from __future__ import annotations

import json
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from oip.operations.v1 import operations_pb2, operations_pb2_grpc
from starlette.responses import Response

from services.console import failures
from services.console.acts import waiting_acts
from services.console.backend import OPERATIONS, refusal_of
from services.console.facts import Part, parts_of
from services.console.forms import Ask
from services.console.methods import all_methods, request_of
from services.console.pages import SIGNERS, Page
from services.console.steps import Step, Target, request_id_of, take
from services.console.values import EMPTY, Cell, fen_cell, moment_text, text_cell
from services.console.visit import Visit
from services.runtime.rpc.roles import role_name

State = operations_pb2.PendingAct.State

WITHDRAW = Step(
    "withdraw",
    f"{OPERATIONS}.WithdrawAct",
    ("Withdraw this act", "撤回该事项"),
    ("It will have no effect. Its maker or a signer may withdraw it.", "撤回后不发生效力。"),
    (Ask("reason", ("Why", "撤回理由"), required=True),),
    done=("Withdrawn.", "已撤回。"),
)


async def waiting(visit: Visit) -> Response:
    """What waits for a second signature."""
    with_ended = visit.query("ended") == "1"
    acts = await waiting_acts(visit, with_ended=with_ended)
    return visit.page("signatures.html", acts=acts, with_ended=with_ended)


async def act_page(visit: Visit) -> Response:
    """An act: who made it, what will run, and the button that signs it."""
    service = visit.path("service")
    if service not in visit.backend.names:
        return failures.failure(visit, 404)
    stub = visit.stub(operations_pb2_grpc.OperationsServiceStub, service)
    name = f"pendingActs/{visit.path('id')}"
    act = await stub.GetPendingAct(operations_pb2.GetPendingActRequest(name=name))
    refusal = ""
    if visit.is_post:
        request = operations_pb2.SignActRequest(
            request_id=request_id_of(visit), name=name, hash=_hash_read(visit)
        )
        try:
            await stub.SignAct(request)
        except grpc.RpcError as error:
            problem = refusal_of(error)
            if problem.is_unreachable or problem.code is grpc.StatusCode.UNAUTHENTICATED:
                raise
            refusal = failures.sentence_of(visit, problem)
            act = await stub.GetPendingAct(operations_pb2.GetPendingActRequest(name=name))
        else:
            return visit.see(f"{visit.request.url.path}?signed=1")
    return visit.page(
        "signature.html",
        status=409 if refusal else 200,
        service=service,
        act=act,
        details=_details(visit, act),
        request_parts=_parts(visit, act.method, act.request_json, answers=False),
        preview_parts=_parts(visit, act.method, act.preview_json, answers=True),
        refusal=refusal,
        is_maker=act.maker_member == visit.person.member,
        may_sign=not visit.person.role_set.isdisjoint(map(role_name, act.signer_roles)),
        is_waiting=act.state == State.PENDING,
        request_id=request_id_of(visit),
        made=visit.query("made") == "1",
        signed=visit.query("signed") == "1",
    )


async def withdraw(visit: Visit) -> Response:
    """Withdraw an act, with a reason."""
    service = visit.path("service")
    if service not in visit.backend.names:
        return failures.failure(visit, 404)
    stub = visit.stub(operations_pb2_grpc.OperationsServiceStub, service)
    name = f"pendingActs/{visit.path('id')}"
    act = await stub.GetPendingAct(operations_pb2.GetPendingActRequest(name=name))
    back = f"/signatures/{service}/{visit.path('id')}"
    target = Target(
        visit.say(act.title, act.title_zh),
        back,
        {"name": name},
        details=_details(visit, act),
        service=service,
    )
    return await take(visit, WITHDRAW, target)


def _hash_read(visit: Visit) -> bytes:
    """The hash of the act as the form showed it; an impossible act_page signs nothing."""
    try:
        return bytes.fromhex(visit.entry("hash"))
    except ValueError:
        return b""


def _details(visit: Visit, act: operations_pb2.PendingAct) -> list[tuple[str, Cell]]:
    number = act.name.rpartition("/")[2]
    return [
        (visit.say("Number", "编号"), text_cell(number)),
        (visit.say("Sum (yuan)", "金额（元）"), _sum(act)),
        (visit.say("Made by", "经办人"), text_cell(act.maker_subject)),
        (visit.say("Made", "提交时间"), text_cell(moment_text(act.create_time))),
        (visit.say("To be signed by", "签批截止"), text_cell(moment_text(act.expire_time))),
        (visit.say("Signed", "签批时间"), text_cell(moment_text(act.sign_time))),
        (visit.say("Withdrawn because", "撤回理由"), text_cell(act.withdraw_reason)),
    ]


def _sum(act: operations_pb2.PendingAct) -> Cell:
    return fen_cell(act.sum_fen) if act.HasField("sum_fen") else EMPTY


def _parts(visit: Visit, method: str, content: str, *, answers: bool) -> list[Part]:
    """What a request or an answer says, for people."""
    described = all_methods().get(method)
    if described is None or not content:
        return []
    message: Any = request_of(described)() if not answers else _answer_of(described)
    ParseDict(json.loads(content), message, ignore_unknown_fields=True)
    return parts_of(message, visit.language, without={"request_id"})


def _answer_of(described: Any) -> Message:
    answer: Message = message_factory.GetMessageClass(described.output_type)()
    return answer


PAGES = (
    Page("/signatures", waiting, SIGNERS),
    Page("/signatures/{service}/{id}", act_page, SIGNERS, takes_form=True),
    Page("/signatures/{service}/{id}/withdraw", withdraw, SIGNERS, takes_form=True),
)
