"""Changes of grading: load, decide, save, tell."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from services.grading import events, store
from services.grading.domain import panel as panels
from services.grading.domain import procedure
from services.grading.domain.appraisal import (
    OPEN_STATES,
    Appraisal,
    Cause,
    Injury,
    InjuryKind,
    Level,
    NothingToAppraise,
    NotOnPanel,
    Opinion,
    OpinionExists,
    OtherAppraisalOpen,
    Specialist,
    SpecialistDiffers,
    State,
    listed,
)
from services.grading.domain.ladder import grade
from services.grading.domain.law import law_on
from services.grading.domain.times import Days
from services.kernel import names
from services.kernel.periods import civil_day
from services.kernel.problems import NotFound
from services.runtime.base.holidays import work_calendar
from services.runtime.events import outbox
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


async def hear_determination(tx: Transaction, injury: Injury, now: datetime) -> None:
    """A claim was determined: open, end or go on with its appraisal. Older revisions are ignored.

    The first appraisal's id comes from the claim, so that hearing again, late or out of order
    ends with the same one.
    """
    held = await store.lock_injury(tx, injury.claim)
    if held.revision >= injury.revision:
        return
    await store.update_injury(tx, injury)
    newest = await store.lock_newest(tx, injury.claim)
    if not injury.appraisable:
        await _withdraw(tx, newest, now)
        return
    day = civil_day(now)
    days = _days(day, injury)
    if newest is None:
        appraisal_id = names.id_from(injury.claim, "appraisal")
        await store.insert_appraisal(tx, procedure.open_first(appraisal_id, injury, day, now, days))
        return
    if newest.state is State.ENDED and newest.cause is Cause.DETERMINATION_WITHDRAWN:
        await store.update_appraisal(tx, procedure.reopen(newest, day, days))
    if not held.appraisable:
        await _tell_again(tx, injury.claim, now)


async def hear_revocation(tx: Transaction, claim: str, revision: int, now: datetime) -> None:
    """A determination was withdrawn: an open appraisal of the claim ends."""
    held = await store.lock_injury(tx, claim)
    if held.revision >= revision:
        return
    withdrawn = Injury(claim, revision, False, held.accident_date, held.pooling_area)  # noqa: FBT003 - the field before names it
    await store.update_injury(tx, withdrawn)
    await _withdraw(tx, await store.lock_newest(tx, claim), now)


async def register_specialist(
    tx: Transaction, number: str, field: str, now: datetime, *, provincial: bool
) -> Specialist:
    """Add a specialist; the same particulars again change nothing. Raises SpecialistDiffers."""
    wanted = Specialist(names.id_from(number, "specialist"), number, field, provincial)
    await store.insert_specialist(tx, wanted, now)
    held = await store.get_specialist(tx, number)
    if held != wanted:
        raise SpecialistDiffers(field="specialist_number", number=number)
    return wanted


async def draw_panel(
    tx: Transaction,
    appraisal_id: str,
    *,
    size: int,
    excluded: Sequence[str],
    random: panels.Random,
    now: datetime,
) -> Appraisal:
    """Draw the panel: for a re-appraisal from the provincial pool, and nobody who sat before."""
    appraisal, injury = await _load(tx, appraisal_id)
    again = appraisal.level is Level.RE_APPRAISAL
    barred = set(excluded)
    if again:
        barred |= {
            names.name("specialists", member)
            for member in await store.earlier_members(tx, appraisal)
        }
    day = civil_day(now)
    pool = await store.pool(tx, provincial=again)
    law = law_on(day, injury.pooling_area)
    panel, finding = panels.draw_panel(pool, size, barred, random, law)
    drawn = procedure.draw_panel(appraisal, finding, day)
    await store.update_appraisal(tx, drawn)
    await store.insert_panel(tx, drawn, panel)
    return drawn


async def record_opinion(
    tx: Transaction, cipher: ColumnCipher, appraisal_id: str, opinion: Opinion, now: datetime
) -> Appraisal:
    """Record one member's opinion; its items are checked against the standard at once."""
    appraisal, injury = await _load(tx, appraisal_id)
    recorded = procedure.record_opinion(appraisal)
    panel = [member.name for member in await store.get_panel(tx, appraisal)]
    if opinion.specialist not in panel:
        raise NotOnPanel(
            field="opinion.specialist",
            specialist=opinion.specialist,
            appraisal=appraisal.name,
            panel=listed(panel),
        )
    grade(opinion.impairments, appraisal.level, law_on(civil_day(now), injury.pooling_area))
    given = {one.specialist: one for one in await store.get_opinions(tx, cipher, appraisal)}
    if opinion.specialist in given:
        if given[opinion.specialist] != opinion:
            raise OpinionExists(specialist=opinion.specialist)
        return appraisal
    await store.update_appraisal(tx, recorded)
    await store.insert_opinion(tx, cipher, recorded, opinion, now)
    return recorded


async def conclude_appraisal(
    tx: Transaction, cipher: ColumnCipher, appraisal_id: str, revision: int, now: datetime
) -> Appraisal:
    """Conclude on the panel's opinions and tell the result."""
    appraisal, injury = await _load(tx, appraisal_id)
    day = civil_day(now)
    concluded = procedure.conclude(
        appraisal,
        revision,
        injury=injury,
        panel=await store.get_panel(tx, appraisal),
        opinions=await store.get_opinions(tx, cipher, appraisal),
        day=day,
        days=_days(day, injury),
    )
    await store.update_appraisal(tx, concluded)
    await outbox.add(tx, events.appraisal_concluded(concluded), now)
    return concluded


async def defer_appraisal(
    tx: Transaction,
    cipher: ColumnCipher,
    appraisal_id: str,
    *,
    until: date,
    kind: InjuryKind | None,
    note: str,
    now: datetime,
) -> Appraisal:
    """Wait for the condition to become stable; a panel that was drawn is released."""
    appraisal, injury = await _load(tx, appraisal_id)
    day = civil_day(now)
    deferred = procedure.defer(
        appraisal,
        until=until,
        kind=kind,
        accident=injury.accident_date,
        day=day,
        days=_days(day, injury),
    )
    await store.update_appraisal(tx, deferred)
    await store.insert_note(tx, cipher, deferred, note, now)
    return deferred


async def extend_appraisal(
    tx: Transaction, cipher: ColumnCipher, appraisal_id: str, note: str, now: datetime
) -> Appraisal:
    """Lengthen the time limit of a complex case."""
    appraisal, injury = await _load(tx, appraisal_id)
    extended = procedure.extend(appraisal, _days(civil_day(now), injury))
    await store.update_appraisal(tx, extended)
    await store.insert_note(tx, cipher, extended, note, now)
    return extended


async def record_absence(
    tx: Transaction, appraisal_id: str, examination: date, now: datetime, *, excused: bool
) -> Appraisal:
    """Record that the worker did not come, and tell if that ends the procedure."""
    appraisal, injury = await _load(tx, appraisal_id)
    day = civil_day(now)
    recorded = procedure.record_absence(
        appraisal, examination, day, _days(day, injury), excused=excused
    )
    await store.update_appraisal(tx, recorded)
    if recorded.state is State.ENDED:
        await outbox.add(tx, events.appraisal_ended(recorded, day), now)
    return recorded


async def open_appraisal(
    tx: Transaction,
    appraisal_id: str,
    *,
    previous_id: str,
    level: Level,
    asked: date,
    received: date | None,
    now: datetime,
) -> Appraisal:
    """Open a re-appraisal or a review, or go on with one that ended because of absences."""
    found = await store.get_appraisal(tx, previous_id)
    if found is None:
        raise NotFound(name=names.name("appraisals", previous_id))
    injury = await store.lock_injury(tx, found.claim)
    newest = await store.lock_newest(tx, found.claim)
    assert newest is not None
    if newest.id != previous_id:
        raise OtherAppraisalOpen(field="previous", newest=newest.name)
    if not injury.appraisable:
        raise NothingToAppraise(claim=found.claim)
    days = _days(civil_day(now), injury)
    if newest.state is State.ENDED and level is newest.level:
        reopened = procedure.reopen(newest, asked, days)
        await store.update_appraisal(tx, reopened)
        return reopened
    opened = procedure.open_next(
        appraisal_id, newest, level, asked=asked, received=received, now=now, days=days
    )
    await store.insert_appraisal(tx, opened)
    return opened


async def _load(tx: Transaction, appraisal_id: str) -> tuple[Appraisal, Injury]:
    """An appraisal, locked, with its injury. Locks go claim first, as everywhere."""
    found = await store.get_appraisal(tx, appraisal_id)
    if found is None:
        raise NotFound(name=names.name("appraisals", appraisal_id))
    injury = await store.lock_injury(tx, found.claim)
    locked = await store.lock_appraisal(tx, appraisal_id)
    assert locked is not None
    return locked, injury


async def _tell_again(tx: Transaction, claim: str, now: datetime) -> None:
    """The person is as appraised: those who dropped the conclusion with the claim need it again."""
    concluded = await store.lock_newest(tx, claim, State.CONCLUDED)
    if concluded is not None:
        again = procedure.tell_again(concluded)
        await store.update_appraisal(tx, again)
        await outbox.add(tx, events.appraisal_concluded(again), now)


async def _withdraw(tx: Transaction, newest: Appraisal | None, now: datetime) -> None:
    if newest is not None and newest.state in OPEN_STATES:
        ended = procedure.withdraw(newest)
        await store.update_appraisal(tx, ended)
        await outbox.add(tx, events.appraisal_ended(ended, civil_day(now)), now)


def _days(day: date, injury: Injury) -> Days:
    return Days(law_on(day, injury.pooling_area), work_calendar())
