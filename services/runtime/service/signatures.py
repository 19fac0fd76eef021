"""Two persons for one act: what the table of acts names takes effect with a second signature.

A method whose access option names an act runs as usual. If the table asks for a signature, its
transaction is rolled back and the request waits as a pending act, with the revisions of all that it
read. Signing runs the same request again, as its maker, in one transaction with the signature; it
is refused if the request, the sum or any revision differs from what the signer has read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf import descriptor_pool
from google.protobuf.message import Message

from services.kernel.money import Fen
from services.kernel.names import id_from
from services.kernel.periods import civil_day
from services.kernel.phrases import Phrase
from services.kernel.problems import Forbidden, Problem
from services.runtime.base.failpoints import failpoint
from services.runtime.rpc.access import (
    Caller,
    acting_as,
    caller,
    require_allowed,
    rule_in,
)
from services.runtime.service import day_totals, pending_acts
from services.runtime.service.act_problems import (
    ActChanged,
    ActNotPending,
    DayCapReached,
    MakerRoleMissing,
    NoPerson,
    RequestIdReused,
    SecondSignatureNeeded,
    SignatureWithdrawn,
    SignerAreaMissing,
    SignerIsMaker,
    SignerRoleMissing,
    SumTooLarge,
)
from services.runtime.service.act_table import ActRule, rule_on
from services.runtime.service.day_totals import EVERY_ACT, PersonDay
from services.runtime.service.held_roles import held_by
from services.runtime.service.pending_acts import PendingAct, PerformedAct, Signature
from services.runtime.storage import data_keys, staff_copy
from services.runtime.storage.database import Transaction
from services.runtime.storage.revisions import noting

if TYPE_CHECKING:
    from datetime import datetime

    from google.protobuf.descriptor import Descriptor, MethodDescriptor
    from oip.type.v1 import type_pb2

    from services.runtime.service.context import ServiceContext

A = TypeVar("A", bound=Message)

WAIT = timedelta(days=7)


@dataclass
class RunningAct:
    """The act of the running request: commands give it its name by the outcome, and its sum."""

    act: str
    amount: Fen | None = None


@dataclass(frozen=True)
class Signing:
    """A signature under way: the act as the signer has read it, and how its answer is stored."""

    pending: PendingAct
    signer: Caller
    # Stores the answer of SignAct and its audit row, in the transaction of the effect.
    store: Callable[[Transaction, PendingAct], Awaitable[None]]


class SignatureNeededError(Exception):
    """Rolls back the transaction of an act that waits for its signature."""

    def __init__(self, pending: PendingAct, rule: ActRule) -> None:
        super().__init__(pending.name)
        self.pending = pending
        self.rule = rule


_running: ContextVar[RunningAct | None] = ContextVar("running_act", default=None)
_signing: ContextVar[Signing | None] = ContextVar("signing", default=None)


def note_act(act: str) -> None:
    """Name the act by its outcome; empty for an outcome that one person decides."""
    running = _running.get()
    if running is not None:
        running.act = act


def note_sum(amount: Fen) -> None:
    """Note the sum that the running act moves."""
    running = _running.get()
    if running is not None:
        running.amount = amount


def require_person(member: str) -> None:
    """Raise NoPerson if the caller is no person of the staff register."""
    if not member:
        raise NoPerson


def signer() -> str:
    """The person whose signature the running act takes effect with; empty without one."""
    signing = _signing.get()
    return "" if signing is None else signing.signer.member


@cache
def method_of(request: Descriptor) -> MethodDescriptor | None:
    """The method that takes this request; None for a request of no method."""
    for service in request.file.services_by_name.values():
        for method in service.methods:
            if method.input_type is request:
                return method
    return None


def is_act(request_type: str) -> bool:
    """Whether a request, by the full name of its type, calls a method that is an act."""
    try:
        method = method_of(descriptor_pool.Default().FindMessageTypeByName(request_type))
    except KeyError:
        return False
    rule = None if method is None else rule_in(method)
    return rule is not None and bool(rule.act)


async def perform(
    tx: Transaction,
    context: ServiceContext,
    request: Message,
    request_hash: bytes,
    work: Callable[[Transaction], Awaitable[A]],
) -> A:
    """Do the work of a request, and if it is an act, hold it to the table of acts.

    Raises SignatureNeededError if a second person has to sign first.
    """
    method = method_of(request.DESCRIPTOR)
    act = "" if method is None else getattr(rule_in(method), "act", "")
    if method is None or not act:
        return await work(tx)
    signing, now = _signing.get(), context.clock.now()
    if signing is None:
        await _require_new(tx, context, request, request_hash)
        persons = [caller()]
    else:
        persons = await _require_pending(tx, context, signing)
    running = RunningAct(act)
    token = _running.set(running)
    try:
        with noting() as resources:
            result = await work(tx)
    except Problem as problem:
        if signing is not None and (changed := _changed(signing.pending, resources)):
            name = signing.pending.name
            raise ActChanged(pending_act=name, changed=changed) from problem
        raise
    finally:
        _running.reset(token)
    pending = PendingAct(
        id=id_from(request.request_id, caller().key, method.full_name),  # type: ignore[attr-defined]
        method=method.full_name,
        act=running.act,
        amount=running.amount,
        request_id=request.request_id,  # type: ignore[attr-defined]
        request=request.SerializeToString(deterministic=True),
        request_hash=request_hash,
        resources=dict(resources),
        preview=result.SerializeToString(deterministic=True),
        maker=caller(),
        create_time=now,
        expire_time=now + WAIT,
    )
    await _settle(tx, pending, persons, signing, now)
    return result


async def keep_pending(
    context: ServiceContext, needed: SignatureNeededError, persons: Iterable[str]
) -> Problem:
    """Store an act that waits, once for its request; the refusal that names it.

    It is under the data key of the person, if the act concerns one of `persons` alone.
    """
    maker, request_id = needed.pending.maker, needed.pending.request_id
    async with context.database.begin() as tx:
        cipher = await data_keys.of_only_person(tx, context.cipher, persons)
        await pending_acts.insert(tx, needed.pending, cipher)
        stored = await pending_acts.find_of_request(tx, maker, request_id, context.cipher)
        await failpoint("signatures.before_pending")
    await failpoint("signatures.after_pending")
    return needed_problem(stored or needed.pending, needed.rule)


def needed_problem(pending: PendingAct, rule: ActRule) -> SecondSignatureNeeded:
    """The refusal that says who has to sign."""
    return SecondSignatureNeeded(
        pending_act=pending.name,
        hash=pending.hash.hex(),
        roles=rule.role_labels,
        expire_day=civil_day(pending.expire_time),
    )


@contextmanager
def signed_as(signing: Signing) -> Iterator[None]:
    """Run the request of an act as its maker, with the signature, while the block runs."""
    token = _signing.set(signing)
    try:
        with acting_as(signing.pending.maker):
            yield
    finally:
        _signing.reset(token)


def require_signer(pending: PendingAct, signer: Caller, day_rule: ActRule | None) -> None:
    """Raise a refusal unless this person may sign the act."""
    if not signer.member:
        raise NoPerson
    if signer.member == pending.maker.actor:
        raise SignerIsMaker(pending_act=pending.name)
    if day_rule is None or day_rule.roles.isdisjoint(signer.roles):
        roles = day_rule.role_labels if day_rule else ()
        raise SignerRoleMissing(pending_act=pending.name, roles=roles)


def signs_for(signer: Caller, pending: PendingAct) -> bool:
    """Whether the areas of a signer reach the act: some areas reach only what they decided."""
    areas = pending.maker.areas
    return not signer.areas or (bool(areas) and areas <= signer.areas)


async def _require_new(
    tx: Transaction, context: ServiceContext, request: Message, request_hash: bytes
) -> None:
    """Raise a refusal if the request has made an act before."""
    request_id: str = request.request_id  # type: ignore[attr-defined]
    earlier = await pending_acts.find_of_request(tx, caller(), request_id, context.cipher)
    if earlier is None:
        return
    if earlier.request_hash != request_hash:
        raise RequestIdReused(field="request_id", request_id=request_id)
    now = context.clock.now()
    rule = rule_on(earlier.act, civil_day(now))
    if earlier.is_open(now) and rule is not None:
        raise needed_problem(earlier, rule)
    raise SignatureWithdrawn(pending_act=earlier.name)


async def _require_pending(
    tx: Transaction, context: ServiceContext, signing: Signing
) -> list[Caller]:
    """Lock the act and what both persons hold; maker and signer as the register has them now.

    Raises a refusal unless the act can be signed now.
    """
    pending, now = signing.pending, context.clock.now()
    stored = await pending_acts.find(tx, pending.id, context.cipher, lock=True)
    if stored is None or not stored.is_open(now):
        raise ActNotPending(pending_act=pending.name)
    day, method_rule = civil_day(now), rule_in(method_named(pending.method))
    opening = frozenset(method_rule.roles if method_rule else ())
    maker = await held_by(tx, pending.maker, opening, day)
    if opening.isdisjoint(maker.roles) or not _reaches_as_before(method_rule, maker, pending.maker):
        raise MakerRoleMissing(pending_act=pending.name, member=maker.actor)
    rule = rule_on(pending.act, day)
    signer = await held_by(tx, signing.signer, rule.roles if rule else frozenset(), day)
    require_signer(pending, signer, rule)
    if not signs_for(signer, pending):
        raise SignerAreaMissing(pending_act=pending.name, roles=rule.role_labels if rule else ())
    if await staff_copy.is_account_of(tx, maker.issuer, maker.subject, signer.member):
        raise SignerIsMaker(pending_act=pending.name)
    return [maker, signer]


def _reaches_as_before(rule: type_pb2.Access | None, maker: Caller, before: Caller) -> bool:
    """Whether the grants of the maker still reach the areas for which the act was made."""
    try:
        areas = require_allowed(rule, maker).areas
    except Forbidden:
        return False
    return not areas or (bool(before.areas) and before.areas <= areas)


async def _settle(
    tx: Transaction,
    act: PendingAct,
    persons: list[Caller],
    signing: Signing | None,
    now: datetime,
) -> None:
    """Hold a finished act to its rule: a person, the limits, the signature; record it."""
    rule = rule_on(act.act, civil_day(now))
    if rule is not None:
        if not act.maker.actor:
            raise NoPerson
        await _count(tx, act, rule, persons, now)
    needs_signature = rule is not None and rule.needs_signature(act.amount)
    if rule is not None and needs_signature and signing is None:
        raise SignatureNeededError(act, rule)
    if signing is not None:
        if signing.pending.hash != act.hash:
            changed = _changed(signing.pending, act.resources) or Phrase("SUM", "the sum", "金额")
            raise ActChanged(pending_act=signing.pending.name, changed=changed)
        await pending_acts.insert_signature(tx, signing.pending, signing.signer, now)
        await failpoint("signatures.after_signature")
    performed = PerformedAct(
        method=act.method,
        act=act.act,
        amount=act.amount,
        request_hash=act.request_hash,
        maker=act.maker,
        day=civil_day(now),
        needs_signature=needs_signature or signing is not None,
        pending_act=None if signing is None else signing.pending.id,
    )
    await pending_acts.insert_performed(tx, performed, now)
    if signing is not None:
        signature = Signature(signing.signer.member, now)
        await signing.store(tx, replace(signing.pending, signature=signature))


async def _count(
    tx: Transaction, act: PendingAct, rule: ActRule, persons: list[Caller], now: datetime
) -> None:
    """Count the sum of an act in the day of all who share it; raises a refusal above a limit."""
    if act.amount is None:
        return
    amount = Fen(abs(act.amount.count))
    titles: dict[str, Any] = {
        "title": Phrase(rule.act, rule.title, rule.title_zh),
        "amount": amount.yuan,
    }
    if rule.sum_max is not None and amount > rule.sum_max:
        raise SumTooLarge(maximum=rule.sum_max.yuan, **titles)
    # In the order of their names, so that two acts of the same persons wait for each other.
    for person in sorted(persons, key=lambda each: each.actor):
        day = PersonDay(person.actor, civil_day(now))
        own = Fen(person.day_limit_fen) if person.day_limit_fen else None
        for kind, cap in ((act.act, rule.day_cap), (EVERY_ACT, own)):
            before = await day_totals.add(tx, day, kind, amount, cap)
            if before is not None and cap is not None:
                person_cap = {"member": person.actor, "before": before.yuan, "cap": cap.yuan}
                raise DayCapReached(**person_cap, **titles)


def _changed(pending: PendingAct, resources: Mapping[str, str]) -> str:
    """The first resource that is not as the act had read it; empty if all are."""
    for name, revision in sorted(resources.items()):
        if pending.resources.get(name) != revision:
            return name
    return ""


def method_named(full_name: str) -> MethodDescriptor:
    """A method by its full name."""
    return descriptor_pool.Default().FindMethodByName(full_name)
