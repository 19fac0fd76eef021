"""Acts that move money say which assumed values they used; in production all are confirmed.

A payment run, an assessment of premiums, the bands of a year and the closing of a month record the
assumed values that their computation looked up. Outside production they are counted, so that
nobody takes the figures for the law's. In production the act is refused unless the province has
confirmed each of them (law_operations.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from services.kernel.law import ParameterVersion
from services.kernel.problems import ValuesNotConfirmed
from services.runtime.service.context import CommandContext
from services.runtime.storage import law_uses
from services.runtime.storage.database import Transaction


async def record_use(
    tx: Transaction, act: str, used: Iterable[ParameterVersion], context: CommandContext
) -> None:
    """Record the assumed values that an act used; raises ValuesNotConfirmed in production.

    `act` is the name of the resource that the act makes, once.
    """
    versions = sorted({version.digest: version for version in used}.values(), key=_order)
    digests = [version.digest for version in versions]
    confirmations = await law_uses.find_open(tx, digests, lock=True)
    if context.in_production:
        _require_all(act, versions, confirmations)
    await law_uses.insert_use(
        tx, act, versions, confirmations, in_production=context.in_production, now=context.now
    )


async def list_unconfirmed(
    tx: Transaction, used: Iterable[ParameterVersion], context: CommandContext
) -> list[str]:
    """The parameters whose values are not confirmed, for a preview; none outside production."""
    if not context.in_production:
        return []
    versions = {version.digest: version for version in used}
    confirmations = await law_uses.find_open(tx, versions)
    return _names(version for digest, version in versions.items() if digest not in confirmations)


def _require_all(
    act: str, versions: Iterable[ParameterVersion], confirmed: Iterable[bytes]
) -> None:
    lacking = _names(version for version in versions if version.digest not in confirmed)
    if lacking:
        raise ValuesNotConfirmed(act=act, parameters=tuple(lacking))


def _names(versions: Iterable[ParameterVersion]) -> list[str]:
    return sorted({version.name for version in versions})


def _order(version: ParameterVersion) -> tuple[str, str, str]:
    return version.name, version.since.isoformat(), version.jurisdiction
