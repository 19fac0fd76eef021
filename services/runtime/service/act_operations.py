"""The operations on acts that wait for a second person: list, show, sign, withdraw."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias, cast

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.message import Message
from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.kernel import names
from services.kernel.periods import civil_day
from services.kernel.phrases import Phrase
from services.kernel.problems import NotFound
from services.runtime.rpc.access import OPERATIONS_SERVICE, Caller, caller
from services.runtime.rpc.paging import page_of
from services.runtime.rpc.wire import Context, enum_number, moment_to_wire
from services.runtime.service import pending_acts
from services.runtime.service.act_problems import ActChanged, ActNotPending, NoPerson
from services.runtime.service.act_table import acts_signed_by, rule_on
from services.runtime.service.context import ServiceContext
from services.runtime.service.pending_acts import PendingAct
from services.runtime.service.requests import IdempotentRequest, change, read, stored_response
from services.runtime.service.restoration import Restoration
from services.runtime.service.signatures import (
    Signing,
    method_named,
    require_signer,
    signed_as,
    signs_for,
)
from services.runtime.storage.crypto import ERASED
from services.runtime.storage.database import Transaction, seeing_everything

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class ActOperations(operations_pb2_grpc.OperationsServiceServicer):
    """The methods of OperationsService on pending acts."""

    _context: ServiceContext
    _restoration: Restoration
    _handlers: Mapping[str, Handler]

    async def ListPendingActs(
        self, request: operations_pb2.ListPendingActsRequest, context: Context
    ) -> operations_pb2.ListPendingActsResponse:
        """Oldest first: what the caller made or may sign."""
        page, who, now = page_of(request, datetime, str), caller(), self._context.clock.now()
        signable = acts_signed_by(who.roles, civil_day(now))

        async def work(tx: Transaction) -> list[PendingAct]:
            return await pending_acts.list_pending(
                tx,
                self._context.cipher,
                acts=signable,
                member=who.actor,
                open_at=None if request.include_ended else now,
                after=cast("tuple[datetime, str] | None", page.after or None),
                size=page.size,
            )

        rows = await read(self._context, work)
        return operations_pb2.ListPendingActsResponse(
            pending_acts=[
                pending_act_to_wire(row, now) for row in rows if _concerns(row, who, signable)
            ],
            next_page_token=page.next_token(rows, lambda row: row.key),
        )

    async def GetPendingAct(
        self, request: operations_pb2.GetPendingActRequest, context: Context
    ) -> operations_pb2.PendingAct:
        """One act with its request and preview."""
        pending = await self._visible(request.name)
        message = pending_act_to_wire(pending, self._context.clock.now())
        if pending.erased:
            message.request_json = message.preview_json = ERASED
            return message
        stored, preview = _messages(pending)
        message.request_json, message.preview_json = _json(stored), _json(preview)
        return message

    async def SignAct(
        self, request: operations_pb2.SignActRequest, context: Context
    ) -> operations_pb2.PendingAct:
        """Sign an act: its request runs again, as its maker, in one transaction."""
        answer, signer = operations_pb2.PendingAct, caller()
        stored = await stored_response(self._context, request, answer)
        if stored is not None:
            return stored
        pending = await self._visible(request.name)
        now = self._context.clock.now()
        require_signer(pending, signer, rule_on(pending.act, civil_day(now)))
        if not pending.is_open(now):
            raise ActNotPending(pending_act=pending.name)
        if request.hash != pending.hash:
            raise ActChanged(pending_act=pending.name, changed=Phrase("HASH", "the hash", "哈希值"))
        if not pending.method.startswith(f"{OPERATIONS_SERVICE}."):
            self._restoration.standing.require_current()
        own = IdempotentRequest(self._context, request, answer)

        async def store(tx: Transaction, signed: PendingAct) -> None:
            # The transaction has the scope of the maker, and this response is the signer's.
            async with seeing_everything(tx):
                await own.store(tx, pending_act_to_wire(signed, now), pending.name, signer)

        with signed_as(Signing(pending, signer, store)):
            handler: Any = self._handlers[pending.method].unary_unary
            await handler(_messages(pending)[0], context)
        stored = await stored_response(self._context, request, answer)
        if stored is None:
            # Another person's signature was first; the request got the answer of that one.
            raise ActNotPending(pending_act=pending.name)
        return stored

    async def WithdrawAct(
        self, request: operations_pb2.WithdrawActRequest, context: Context
    ) -> operations_pb2.PendingAct:
        """Withdraw an act without effect."""
        reason = request.reason.strip()
        pending_id = (await self._visible(request.name)).id
        who = caller()
        if not who.member:
            raise NoPerson

        async def work(tx: Transaction) -> operations_pb2.PendingAct:
            now, cipher = self._context.clock.now(), self._context.cipher
            pending = await pending_acts.find(tx, pending_id, cipher, lock=True)
            if pending is None or not pending.is_open(now):
                raise ActNotPending(pending_act=request.name)
            await pending_acts.withdraw(
                tx, cipher, pending, member=who.member, reason=reason, now=now
            )
            after = await pending_acts.find(tx, pending_id, cipher)
            return pending_act_to_wire(after or pending, now)

        answer = operations_pb2.PendingAct
        return await change(self._context, request, answer, work, resource=request.name)

    async def _visible(self, name: str) -> PendingAct:
        """The act, for its maker and for those who may sign it."""
        (pending_id,) = names.parse(name, "pendingActs")

        async def work(tx: Transaction) -> PendingAct | None:
            return await pending_acts.find(tx, pending_id, self._context.cipher)

        pending = await read(self._context, work)
        day = civil_day(self._context.clock.now())
        if pending is None or not _concerns(pending, caller(), acts_signed_by(caller().roles, day)):
            raise NotFound(name=name)
        return pending


def pending_act_to_wire(pending: PendingAct, now: datetime) -> operations_pb2.PendingAct:
    """An act as a message, without request and preview."""
    rule = rule_on(pending.act, civil_day(pending.create_time))
    message = operations_pb2.PendingAct(
        name=pending.name,
        method=pending.method,
        act=pending.act,
        title=rule.title if rule else "",
        title_zh=rule.title_zh if rule else "",
        sum_fen=None if pending.amount is None else pending.amount.count,
        state=enum_number(_state(pending, now)),
        hash=pending.hash,
        resources=[
            operations_pb2.PendingAct.Resource(name=name, revision=revision)
            for name, revision in sorted(pending.resources.items())
        ],
        maker_member=pending.maker.actor,
        maker_subject=pending.maker.subject,
        create_time=moment_to_wire(pending.create_time),
        expire_time=moment_to_wire(pending.expire_time),
        signer_roles=[enum_number(role) for role in sorted(rule.roles)] if rule else [],
        withdraw_member=pending.withdraw_member,
        withdraw_reason=pending.withdraw_reason,
    )
    if pending.signature is not None:
        message.signer_member = pending.signature.member
        message.sign_time.CopyFrom(moment_to_wire(pending.signature.time))
    return message


def _concerns(pending: PendingAct, who: Caller, signable: list[str]) -> bool:
    """Whether a person made an act or may sign it."""
    if who.actor and pending.maker.actor == who.actor:
        return True
    return pending.act in signable and signs_for(who, pending)


def _state(pending: PendingAct, now: datetime) -> int:
    states = operations_pb2.PendingAct
    if pending.signature is not None:
        return states.SIGNED
    if pending.withdraw_time is not None:
        return states.WITHDRAWN
    return states.PENDING if pending.is_open(now) else states.EXPIRED


def _messages(pending: PendingAct) -> tuple[Message, Message]:
    """The request of an act, and the response that it would have had."""
    method = method_named(pending.method)
    request_class = message_factory.GetMessageClass(method.input_type)
    response_class = message_factory.GetMessageClass(method.output_type)
    return request_class.FromString(pending.request), response_class.FromString(pending.preview)


def _json(message: Message) -> str:
    return json_format.MessageToJson(
        message, preserving_proto_field_name=True, ensure_ascii=False, indent=2
    )
