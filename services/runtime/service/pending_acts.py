"""The tables of acts that two persons share: what waits, what was signed, what took effect."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from services.kernel.money import Fen
from services.runtime.rpc.access import Caller
from services.runtime.storage import data_keys
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class Signature:
    """Who signed an act, and when."""

    member: str
    time: datetime


@dataclass(frozen=True)
class PendingAct:
    """An act with the request that made it and everything that a signature names."""

    id: str
    method: str
    act: str
    amount: Fen | None
    request_id: str
    request: bytes
    request_hash: bytes
    resources: Mapping[str, str]
    preview: bytes
    maker: Caller
    create_time: datetime
    expire_time: datetime
    withdraw_time: datetime | None = None
    withdraw_member: str = ""
    withdraw_reason: str = ""
    signature: Signature | None = None
    # The person whom it concerns was erased: request and preview are empty.
    erased: bool = False

    @property
    def name(self) -> str:
        """The name of the resource."""
        return f"pendingActs/{self.id}"

    @property
    def hash(self) -> bytes:
        """What a signature names: the request, the sum and the revisions of what it read."""
        amount = None if self.amount is None else self.amount.count
        content = json.dumps([self.method, self.act, amount, sorted(self.resources.items())])
        return hashlib.sha256(self.request_hash + content.encode()).digest()

    @property
    def key(self) -> tuple[datetime, str]:
        """Its place in a list."""
        return self.create_time, self.id

    def is_open(self, now: datetime) -> bool:
        """Whether it can still be signed."""
        is_ended = self.signature is not None or self.withdraw_time is not None or self.erased
        return not is_ended and now < self.expire_time


_COLUMNS = (
    "pending_act.*, act_signature.signer_member, act_signature.sign_time"
    " from pending_act left join act_signature on act_signature.pending_act = pending_act.id"
)
_INSERT = sa.text(
    "insert into pending_act (id, method, act, sum_fen, request_id, request, request_hash,"
    " resources, hash, preview, maker_member, maker_subject, maker, create_time, expire_time)"
    " values (:id, :method, :act, :sum_fen, :request_id, :request, :request_hash,"
    " cast(:resources as jsonb), :hash, :preview, :maker_member, :maker_subject,"
    " cast(:maker as jsonb), :create_time, :expire_time) on conflict do nothing"
)


async def insert(tx: Transaction, pending: PendingAct, cipher: ColumnCipher) -> None:
    """Store an act; one that the same request has stored before stays."""
    row = {
        "id": pending.id,
        "method": pending.method,
        "act": pending.act,
        "sum_fen": None if pending.amount is None else pending.amount.count,
        "request_id": pending.request_id,
        "request": cipher.seal(pending.request, _context(pending.id, "request")),
        "request_hash": pending.request_hash,
        "resources": json.dumps(dict(pending.resources)),
        "hash": pending.hash,
        "preview": cipher.seal(pending.preview, _context(pending.id, "preview")),
        "maker_member": pending.maker.actor,
        "maker_subject": pending.maker.key,
        "maker": json.dumps(_caller_to_json(pending.maker)),
        "create_time": pending.create_time,
        "expire_time": pending.expire_time,
    }
    await tx.execute(_INSERT, row)


async def find(
    tx: Transaction, pending_id: str, cipher: ColumnCipher, *, lock: bool = False
) -> PendingAct | None:
    """One act; `lock` keeps others from ending it meanwhile."""
    if lock:
        # The signature is read after the lock is held, by a statement that sees it.
        locking = sa.text("select from pending_act where id = :id for update")
        await tx.execute(locking, {"id": pending_id})
    rows = await tx.execute(sa.text(f"select {_COLUMNS} where id = :id"), {"id": pending_id})
    row = rows.one_or_none()
    if row is None:
        return None
    return _from_row(row, await data_keys.for_rows(tx, cipher, [row]))


async def find_of_request(
    tx: Transaction, maker: Caller, request_id: str, cipher: ColumnCipher
) -> PendingAct | None:
    """The act that a request has made."""
    rows = await tx.execute(
        sa.text(
            f"select {_COLUMNS} where pending_act.maker_subject = :subject"
            " and request_id = :request_id"
        ),
        {"subject": maker.key, "request_id": request_id},
    )
    row = rows.one_or_none()
    if row is None:
        return None
    return _from_row(row, await data_keys.for_rows(tx, cipher, [row]))


async def list_pending(
    tx: Transaction,
    cipher: ColumnCipher,
    *,
    acts: Sequence[str],
    member: str,
    open_at: datetime | None,
    after: tuple[datetime, str] | None,
    size: int,
) -> list[PendingAct]:
    """Acts of these kinds or made by this person, oldest first; at `open_at`, only open ones."""
    after_time, after_id = after or (None, None)
    result = await tx.execute(
        sa.text(
            f"select {_COLUMNS} where (act = any(:acts) or pending_act.maker_member = :member)"
            " and (cast(:open_at as timestamptz) is null or (withdraw_time is null"
            "  and signer_member is null and expire_time > :open_at))"
            " and (cast(:after_time as timestamptz) is null"
            "  or (create_time, id) > (:after_time, :after_id))"
            " order by create_time, id limit :size"
        ),
        {
            "acts": list(acts),
            "member": member,
            "open_at": open_at,
            "after_time": after_time,
            "after_id": after_id,
            "size": size,
        },
    )
    rows = result.all()
    cipher = await data_keys.for_rows(tx, cipher, rows)
    return [_from_row(row, cipher) for row in rows]


async def withdraw(
    tx: Transaction,
    cipher: ColumnCipher,
    pending: PendingAct,
    *,
    member: str,
    reason: str,
    now: datetime,
) -> None:
    """End a locked act without effect. The reason is under the key of the act."""
    statement = sa.text("select request from pending_act where id = :id")
    rows = (await tx.execute(statement, {"id": pending.id})).all()
    cipher = (await data_keys.for_rows(tx, cipher, rows)).like(bytes(rows[0].request))
    await tx.execute(
        sa.text(
            "update pending_act set withdraw_time = :now, withdraw_member = :member,"
            " withdraw_reason = :reason where id = :id"
        ),
        {
            "id": pending.id,
            "now": now,
            "member": member,
            "reason": cipher.encrypt(reason, _context(pending.id, "withdraw_reason")),
        },
    )


async def insert_signature(
    tx: Transaction, pending: PendingAct, signer: Caller, now: datetime
) -> None:
    """Store the signature of a locked act."""
    await tx.execute(
        sa.text(
            "insert into act_signature"
            " (pending_act, maker_member, signer_member, signer_subject, hash, sign_time)"
            " values (:id, :maker, :signer, :subject, :hash, :now)"
        ),
        {
            "id": pending.id,
            "maker": pending.maker.actor,
            "signer": signer.member,
            "subject": signer.key,
            "hash": pending.hash,
            "now": now,
        },
    )


@dataclass(frozen=True)
class PerformedAct:
    """An act that takes effect in the running transaction."""

    method: str
    act: str
    amount: Fen | None
    request_hash: bytes
    maker: Caller
    day: date
    needs_signature: bool
    pending_act: str | None


async def insert_performed(tx: Transaction, performed: PerformedAct, now: datetime) -> None:
    """Record that an act takes effect."""
    await tx.execute(
        sa.text(
            "insert into performed_act (maker_subject, request_hash, method, act, sum_fen, member,"
            " day, needs_signature, pending_act, create_time) values (:subject, :request_hash,"
            " :method, :act, :sum_fen, :member, :day, :needs_signature, :pending_act, :now)"
        ),
        {
            "subject": performed.maker.key,
            "request_hash": performed.request_hash,
            "method": performed.method,
            "act": performed.act,
            "sum_fen": None if performed.amount is None else performed.amount.count,
            "member": performed.maker.actor,
            "day": performed.day,
            "needs_signature": performed.needs_signature,
            "pending_act": performed.pending_act,
            "now": now,
        },
    )


@dataclass(frozen=True)
class WrongActs:
    """The numbers of rows that contradict each other."""

    unsigned: int
    not_once: int
    over_cap: int


_UNSIGNED = """
    select count(*) from performed_act
    left join act_signature using (pending_act)
    left join pending_act on pending_act.id = performed_act.pending_act
    where needs_signature and (
        signer_member is null or signer_member = performed_act.member
        or act_signature.hash <> pending_act.hash
        or pending_act.maker_member <> performed_act.member
        or pending_act.request_hash <> performed_act.request_hash
        or (pending_act.act, pending_act.sum_fen)
            is distinct from (performed_act.act, performed_act.sum_fen)
        or withdraw_time is not null or sign_time >= expire_time)
"""
_NOT_ONCE = """
    select count(*) from (
        select request_hash from command where method = any(:methods)
        union all select request_hash from pending_act
        join act_signature on act_signature.pending_act = pending_act.id
    ) as made
    where 1 <> (select count(*) from performed_act
        where performed_act.request_hash = made.request_hash)
"""
# Sums of the day by act and of all acts, of those who made or signed them.
_OVER_CAP = """
    with share as (
        select member, day, act, abs(sum_fen) as fen from performed_act where sum_fen is not null
        union all
        select signer_member, day, act, abs(sum_fen) from performed_act
        join act_signature using (pending_act) where sum_fen is not null
    ), recounted as (
        select member, day, act, sum(fen) as fen from share where act <> '' group by 1, 2, 3
        union all select member, day, '', sum(fen) from share where act <> '' group by 1, 2
    )
    select count(*) from recounted full join act_total using (member, day, act)
    where recounted.fen is distinct from act_total.fen or act_total.fen > cap_fen
"""


async def count_wrong(tx: Transaction, methods: Sequence[str]) -> WrongActs:
    """Recount the acts that took effect; `methods` are the requests of acts as command has them."""
    counts = []
    for statement in (_UNSIGNED, _NOT_ONCE, _OVER_CAP):
        values = {"methods": list(methods)} if ":methods" in statement else {}
        counts.append(int((await tx.execute(sa.text(statement), values)).scalar_one()))
    return WrongActs(*counts)


def _caller_to_json(who: Caller) -> dict[str, Any]:
    return {
        "subject": who.subject,
        "roles": sorted(who.roles),
        "platform": who.platform,
        "issuer": who.issuer,
        "member": who.member,
        "areas": sorted(who.areas),
        "person": who.person,
        "day_limit_fen": who.day_limit_fen,
        "asking_service": who.asking_service,
    }


def _from_row(row: Any, cipher: ColumnCipher) -> PendingAct:
    erased = cipher.is_erased(bytes(row.request))
    maker = dict(row.maker)
    maker |= {"roles": frozenset(maker["roles"]), "areas": frozenset(maker["areas"])}
    signature = None
    if row.signer_member is not None:
        signature = Signature(row.signer_member, row.sign_time)
    return PendingAct(
        id=row.id,
        method=row.method,
        act=row.act,
        amount=None if row.sum_fen is None else Fen(row.sum_fen),
        request_id=row.request_id,
        request=b"" if erased else cipher.open(bytes(row.request), _context(row.id, "request")),
        request_hash=bytes(row.request_hash),
        resources=row.resources,
        preview=b"" if erased else cipher.open(bytes(row.preview), _context(row.id, "preview")),
        maker=Caller(**maker),
        create_time=row.create_time,
        expire_time=row.expire_time,
        withdraw_time=row.withdraw_time,
        withdraw_member=row.withdraw_member,
        withdraw_reason=cipher.show(bytes(row.withdraw_reason), _context(row.id, "withdraw_reason"))
        if row.withdraw_reason is not None
        else "",
        signature=signature,
        erased=erased,
    )


def _context(pending_id: str, column: str) -> str:
    return f"pending_act/{pending_id}/{column}"
