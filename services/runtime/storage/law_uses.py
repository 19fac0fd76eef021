"""Assumed values of the law: what a province has confirmed, and which acts used which."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from services.kernel.law import ParameterVersion, Tag
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class Revocation:
    """A confirmation taken back: when, by which two persons, and why."""

    time: datetime
    member: str
    signer: str
    reason: str


@dataclass(frozen=True)
class ParameterConfirmation:
    """A province's confirmation of an assumed value, by a document and two persons."""

    id: str
    version: ParameterVersion
    document: str
    document_date: date
    member: str
    signer: str
    create_time: datetime
    revocation: Revocation | None = None

    @property
    def name(self) -> str:
        """The resource name."""
        return f"parameterConfirmations/{self.id}"

    @property
    def key(self) -> tuple[datetime, str]:
        """Its place in a list."""
        return self.create_time, self.id


@dataclass(frozen=True)
class ValueUse:
    """An assumed value with the number of acts that used it and the last of them."""

    version: ParameterVersion
    act_count: int
    last_act: str


_OPEN = (
    "select digest, id from parameter_confirmation"
    " where revoke_time is null and digest = any(:digests)"
)
_INSERT = sa.text(
    "insert into parameter_confirmation (id, parameter, since, jurisdiction, value, source,"
    " digest, document, document_date, member, signer, create_time)"
    " values (:id, :parameter, :since, :jurisdiction, :value, :source, :digest, :document,"
    " :document_date, :member, :signer, :create_time)"
)
_REVOKE = sa.text(
    "update parameter_confirmation set revoke_time = :time, revoke_member = :member,"
    " revoke_signer = :signer, revoke_reason = :reason where id = :id"
)
_OF_PARAMETER = sa.text(
    "select * from parameter_confirmation where parameter = :parameter order by create_time, id"
)
_LIST = sa.text(
    "select * from parameter_confirmation"
    " where (:include_revoked or revoke_time is null)"
    " and (cast(:after_time as timestamptz) is null"
    " or (create_time, id) > (:after_time, :after_id))"
    " order by create_time, id limit :size"
)
_USE = sa.text(
    "insert into law_use (act, in_production, value_count, create_time)"
    " values (:act, :in_production, :value_count, :now)"
)
_VALUE = sa.text(
    "insert into used_value"
    " (act, digest, parameter, since, jurisdiction, value, source, confirmation)"
    " values (:act, :digest, :parameter, :since, :jurisdiction, :value, :source, :confirmation)"
)
_USES = sa.text(
    "select distinct on (digest) used_value.*,"
    " count(*) over (partition by digest) as act_count"
    " from used_value join law_use using (act) order by digest, create_time desc, act desc"
)
# In production an act rests on confirmations that were in force when it took effect, each by two
# persons; everywhere it names all values that it counted.
_WRONG_USES = sa.text(
    """
    select count(*) from law_use u where value_count <> (
        select count(*) from used_value v where v.act = u.act
    ) or u.in_production and exists (
        select from used_value v left join parameter_confirmation c on c.id = v.confirmation
        where v.act = u.act and (
            c.id is null or c.signer in ('', c.member) or c.create_time > u.create_time
            or c.revoke_time < u.create_time)
    )
    """
)


async def find_open(
    tx: Transaction, digests: Collection[bytes], *, lock: bool = False
) -> dict[bytes, str]:
    """The confirmations in force of values, by digest; `lock` keeps others from revoking them."""
    statement = sa.text(f"{_OPEN} for share" if lock else _OPEN)
    rows = await tx.execute(statement, {"digests": sorted(digests)})
    return {bytes(row.digest): row.id for row in rows}


async def insert_use(
    tx: Transaction,
    act: str,
    versions: Iterable[ParameterVersion],
    confirmations: Mapping[bytes, str],
    *,
    in_production: bool,
    now: datetime,
) -> None:
    """Record which assumed values an act used, each with its confirmation if it has one."""
    rows = [
        {
            "act": act,
            "digest": version.digest,
            "parameter": version.name,
            "since": version.since,
            "jurisdiction": version.jurisdiction,
            "value": version.value,
            "source": version.source,
            "confirmation": confirmations.get(version.digest),
        }
        for version in versions
    ]
    head = {"act": act, "in_production": in_production, "value_count": len(rows), "now": now}
    await tx.execute(_USE, head)
    if rows:
        await tx.execute(_VALUE, rows)


async def list_uses(tx: Transaction) -> list[ValueUse]:
    """Every assumed value that an act has used, by digest."""
    return [
        ValueUse(_version(row), row.act_count, row.act) for row in (await tx.execute(_USES)).all()
    ]


async def insert(tx: Transaction, confirmation: ParameterConfirmation) -> None:
    """Store a confirmation; the index refuses a second one of the same value."""
    version = confirmation.version
    row = {
        "id": confirmation.id,
        "parameter": version.name,
        "since": version.since,
        "jurisdiction": version.jurisdiction,
        "value": version.value,
        "source": version.source,
        "digest": version.digest,
        "document": confirmation.document,
        "document_date": confirmation.document_date,
        "member": confirmation.member,
        "signer": confirmation.signer,
        "create_time": confirmation.create_time,
    }
    await tx.execute(_INSERT, row)


async def find(tx: Transaction, confirmation_id: str) -> ParameterConfirmation | None:
    """One confirmation, locked."""
    statement = sa.text("select * from parameter_confirmation where id = :id for update")
    row = (await tx.execute(statement, {"id": confirmation_id})).one_or_none()
    return None if row is None else _confirmation(row)


async def update_revoked(
    tx: Transaction, confirmation: ParameterConfirmation, revocation: Revocation
) -> None:
    """Store that a locked confirmation was taken back."""
    values = {
        "id": confirmation.id,
        "time": revocation.time,
        "member": revocation.member,
        "signer": revocation.signer,
        "reason": revocation.reason,
    }
    await tx.execute(_REVOKE, values)


async def list_of_parameter(tx: Transaction, parameter: str) -> list[ParameterConfirmation]:
    """The confirmations of a parameter's values, oldest first."""
    rows = await tx.execute(_OF_PARAMETER, {"parameter": parameter})
    return [_confirmation(row) for row in rows]


async def list_confirmations(
    tx: Transaction,
    *,
    size: int,
    after: tuple[datetime, str] | tuple[()] = (),
    include_revoked: bool = False,
) -> list[ParameterConfirmation]:
    """Confirmations, oldest first."""
    after_time, after_id = after or (None, None)
    values = {
        "size": size,
        "after_time": after_time,
        "after_id": after_id,
        "include_revoked": include_revoked,
    }
    return [_confirmation(row) for row in await tx.execute(_LIST, values)]


async def count_wrong_uses(tx: Transaction) -> int:
    """Acts that do not name what they used, or used in production what nobody had confirmed."""
    return int((await tx.execute(_WRONG_USES)).scalar_one())


def _confirmation(row: sa.Row[Any]) -> ParameterConfirmation:
    revocation = None
    if row.revoke_time is not None:
        revocation = Revocation(
            row.revoke_time, row.revoke_member, row.revoke_signer, row.revoke_reason
        )
    return ParameterConfirmation(
        id=row.id,
        version=_version(row),
        document=row.document,
        document_date=row.document_date,
        member=row.member,
        signer=row.signer,
        create_time=row.create_time,
        revocation=revocation,
    )


def _version(row: sa.Row[Any]) -> ParameterVersion:
    return ParameterVersion(
        row.parameter, row.since, row.jurisdiction, row.value, row.source, Tag.ASSUMED
    )
