"""Panels drawn from the pool, and the opinions of their members."""

from __future__ import annotations

import secrets

from services.grading.commands.cases import Case, lock_case
from services.grading.domain import panels, procedure
from services.grading.domain.appraisals import LIFECYCLE, Appraisal
from services.grading.domain.grades import grade_of
from services.grading.domain.panels import (
    Exclusion,
    Opinion,
    Recusal,
    Specialist,
    specialist_name,
)
from services.grading.domain.problems import (
    NotOnPanel,
    NotYourSeat,
    OpinionExists,
)
from services.grading.store import appraisals as appraisal_store
from services.grading.store import draws as draw_store
from services.grading.store import panels as panel_store
from services.grading.store import specialists as specialist_store
from services.kernel.problems import NotFound
from services.kernel.scheme import AppraisalLevel
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction, seeing_everything

SEED_BYTES = 32


async def commit_draw(tx: Transaction, appraisal: Appraisal, context: CommandContext) -> None:
    """Choose the seed of the next draw; its hash is published from now on.

    Nobody who excludes specialists or draws the panel can know or choose it.
    """
    seed = secrets.token_bytes(SEED_BYTES)
    await draw_store.insert_seed(
        tx, context.cipher, appraisal, (seed, panels.commitment_of(seed)), context.now
    )


async def exclude_specialist(
    tx: Transaction, appraisal_id: str, exclusion: Exclusion, context: CommandContext
) -> Appraisal:
    """Keep a specialist from the panels of an appraisal; a repeat changes nothing.

    A panel on which the specialist sits is released, and another one is drawn. Two persons
    exclude: one alone could choose the panel by leaving out all others.
    """
    case = await lock_case(tx, appraisal_id, context)
    earlier = await draw_store.list_exclusions(tx, appraisal_id)
    if exclusion.specialist in {each.specialist for each in earlier}:
        return case.appraisal
    seats = [seat.name for seat in await panel_store.list_members(tx, case.appraisal)]
    appraisal = procedure.exclude(case.appraisal, exclusion, seats)
    if await specialist_store.get(tx, exclusion.specialist) is None:
        raise NotFound(name=exclusion.name)
    await draw_store.insert_exclusion(tx, appraisal, exclusion, context.now)
    await appraisal_store.update(tx, context.cipher, appraisal)
    await commit_draw(tx, appraisal, context)
    return appraisal


async def draw_panel(
    tx: Transaction, appraisal_id: str, context: CommandContext, *, size: int
) -> Appraisal:
    """Draw the panel by the seed that was committed to.

    A re-appraisal draws from the provincial pool, without members of the claim's earlier panels.
    """
    case = await lock_case(tx, appraisal_id, context)
    procedure.require_may_draw(case.appraisal, case.days.day)
    pool, barred = await _list_pool(tx, case)
    days, number = case.days, case.appraisal.draw + 1
    seed = await draw_store.get_seed(tx, context.cipher, appraisal_id, number)
    panel, finding = panels.draw_panel(pool, size, barred, days.law, days.day, seed=seed)
    drawn = procedure.draw_panel(case.appraisal, finding, days.day)
    free = [specialist for specialist in pool if specialist.name not in barred]
    await appraisal_store.update(tx, context.cipher, drawn)
    await draw_store.insert(tx, drawn, free, panel, context.now)
    await panel_store.insert(tx, drawn, panel)
    # Whoever steps down cannot know who takes the seat.
    await commit_draw(tx, drawn, context)
    return drawn


async def recuse_specialist(
    tx: Transaction, appraisal_id: str, recusal: Recusal, context: CommandContext
) -> Appraisal:
    """Let a member of the panel step down; the seed that was committed to draws another one.

    The other members stay, and their opinions count. Without anybody left to draw the panel is
    released. Raises NotFound.
    """
    case = await lock_case(tx, appraisal_id, context)
    # The caller sees nothing of the appraisal once the seat is another person's.
    async with seeing_everything(tx):
        return await _recuse(tx, case, recusal, context)


async def _recuse(
    tx: Transaction, case: Case, recusal: Recusal, context: CommandContext
) -> Appraisal:
    appraisal, cipher = case.appraisal, context.cipher
    LIFECYCLE.after(appraisal.state, "recuse")
    seats = await panel_store.list_members(tx, appraisal)
    own = next((seat for seat in seats if seat.member == recusal.member), None)
    if own is None:
        raise NotFound(name=appraisal.name)
    exclusion = Exclusion(own.id, recusal.code)
    opinions = await panel_store.list_opinions(tx, cipher, appraisal)
    await draw_store.insert_exclusion(tx, appraisal, exclusion, context.now)
    pool, barred = await _list_pool(tx, case)
    seed = await draw_store.get_seed(tx, cipher, appraisal.id, appraisal.draw + 1)
    drawn = panels.replace_member(seats, exclusion, pool, barred, case.days.day, seed=seed)
    if drawn.panel:
        changed = procedure.recuse(appraisal, drawn.finding)
        await draw_store.insert(tx, changed, drawn.free, drawn.panel, context.now, kept=drawn.kept)
        await panel_store.insert(tx, changed, drawn.panel)
        for opinion in opinions:
            if opinion.specialist != own.name:
                await panel_store.insert_opinion(tx, cipher, changed, opinion, context.now)
    else:
        changed = procedure.release(appraisal, drawn.finding)
    await appraisal_store.update(tx, cipher, changed)
    await appraisal_store.insert_note(tx, cipher, changed, recusal.reason, context.now)
    await commit_draw(tx, changed, context)
    return changed


async def _list_pool(tx: Transaction, case: Case) -> tuple[list[Specialist], set[str]]:
    """The specialists within their terms, and the names of those who may not sit."""
    appraisal = case.appraisal
    barred = {exclusion.name for exclusion in await draw_store.list_exclusions(tx, appraisal.id)}
    is_re_appraisal = appraisal.level is AppraisalLevel.RE_APPRAISAL
    if is_re_appraisal:
        earlier_ids = await panel_store.list_earlier_members(tx, appraisal)
        barred |= {specialist_name(member) for member in earlier_ids}
    pool = await specialist_store.list_pool(tx, case.days.day, provincial=is_re_appraisal)
    return pool, barred


async def record_opinion(
    tx: Transaction, appraisal_id: str, opinion: Opinion, member: str, context: CommandContext
) -> Appraisal:
    """Record the own opinion of a panel's member, in line with the standard.

    A repeat changes nothing. Raises NotYourSeat, NotOnPanel, OpinionExists for another opinion,
    UnknownItem and ImpairmentContradicts.
    """
    case = await lock_case(tx, appraisal_id, context)
    appraisal, days = case.appraisal, case.days
    recorded = procedure.record_opinion(appraisal)
    seats = await panel_store.list_members(tx, appraisal)
    panel = [seat.name for seat in seats]
    if opinion.specialist not in panel:
        raise NotOnPanel(
            field="opinion.specialist",
            specialist=opinion.specialist,
            appraisal=appraisal.name,
            panel=tuple(panel),
        )
    if not any(seat.name == opinion.specialist and seat.member == member for seat in seats):
        raise NotYourSeat(specialist=opinion.specialist)
    grade_of(opinion.impairments, appraisal.level, days.law, days.day)
    opinions = await panel_store.list_opinions(tx, context.cipher, appraisal)
    earlier = [past for past in opinions if past.specialist == opinion.specialist]
    if earlier:
        if earlier != [opinion]:
            raise OpinionExists(specialist=opinion.specialist)
        return appraisal
    await appraisal_store.update(tx, context.cipher, recorded)
    await panel_store.insert_opinion(tx, context.cipher, recorded, opinion, context.now)
    return recorded
