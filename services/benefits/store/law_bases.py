"""The assumed values of the law on which awards rest: each set is stored once, as a basis."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.benefits.domain.kinds import EXPENSES
from services.benefits.store.tables import (
    awards,
    cases,
    kind_numbers,
    law_bases,
    law_basis_values,
    not_erased,
    rates,
)
from services.kernel.law import ParameterVersion, Tag
from services.runtime.storage.database import Transaction


async def update_case(
    tx: Transaction, worker: str, accident: str, used: Collection[ParameterVersion]
) -> None:
    """Let the awards of an accident rest on the values that its plan has used.

    Bills and days in hospital keep the values with which they were granted.
    """
    of_case = (
        sa.select(awards.c.number)
        .where(awards.c.worker == worker, awards.c.accident == accident)
        .where(awards.c.kind.not_in(kind_numbers(EXPENSES)))
    )
    await _update(tx, of_case, used)


async def update_award(tx: Transaction, award: str, used: Collection[ParameterVersion]) -> None:
    """Let one award rest on the values that were used to compute it."""
    await _update(tx, sa.select(awards.c.number).where(awards.c.id == award), used)


async def list_values(tx: Transaction, bases: Collection[int]) -> list[ParameterVersion]:
    """The values of some bases."""
    statement = sa.select(law_basis_values).where(law_basis_values.c.basis.in_(bases))
    return [
        ParameterVersion(
            row.parameter, row.since, row.jurisdiction, row.value, row.source, Tag.ASSUMED
        )
        for row in await tx.execute(statement)
    ]


async def list_workers_on_other(
    tx: Transaction, digests: Iterable[bytes], law_version: str
) -> list[str]:
    """The workers whose awards rest on a value that is none of these, planned on an older law."""
    of_others = sa.select(law_basis_values.c.basis).where(
        law_basis_values.c.digest.not_in(list(digests))
    )
    outdated = (await tx.execute(of_others.distinct())).scalars().all()
    if not outdated:
        return []
    statement = (
        sa.select(awards.c.worker)
        .join(rates, rates.c.number == awards.c.number)
        .join(cases, cases.c.claim == awards.c.claim)
        .where(rates.c.basis.in_(outdated), cases.c.law_version != law_version, not_erased(cases))
        .distinct()
        .order_by(awards.c.worker)
    )
    return list((await tx.execute(statement)).scalars())


async def _update(
    tx: Transaction, numbers: sa.Select[tuple[int]], used: Collection[ParameterVersion]
) -> None:
    basis = await _basis_of(tx, used)
    await tx.execute(
        sa.update(rates)
        .where(rates.c.number.in_(numbers), rates.c.basis != basis)
        .values(basis=basis)
    )


async def _basis_of(tx: Transaction, used: Collection[ParameterVersion]) -> int:
    """The number of a set of values, which is stored with its first use."""
    values = {version.digest: version for version in used}
    digest = sha256(b"".join(sorted(values))).digest()
    find = sa.select(law_bases.c.id).where(law_bases.c.digest == digest)
    found: int | None = (await tx.execute(find)).scalar_one_or_none()
    if found is not None:
        return found
    statement = insert(law_bases).values(digest=digest).on_conflict_do_nothing()
    basis = (await tx.execute(statement.returning(law_bases.c.id))).scalar_one_or_none()
    if basis is None:
        return int((await tx.execute(find)).scalar_one())
    await tx.execute(
        sa.insert(law_basis_values),
        [
            {
                "basis": basis,
                "digest": each,
                "parameter": version.name,
                "since": version.since,
                "jurisdiction": version.jurisdiction,
                "value": version.value,
                "source": version.source,
            }
            for each, version in sorted(values.items())
        ],
    )
    return int(basis)
