"""The pool of specialists, panels drawn from it, and the opinions of their members."""

from __future__ import annotations

from collections.abc import Sequence

from services.grading.commands.cases import lock_case
from services.grading.domain import panels, procedure
from services.grading.domain.appraisals import Appraisal
from services.grading.domain.grades import grade_of
from services.grading.domain.panels import Opinion, Specialist, specialist_name
from services.grading.domain.problems import NotOnPanel, OpinionExists, SpecialistDiffers
from services.grading.store import appraisals as appraisal_store
from services.grading.store import panels as panel_store
from services.grading.store import specialists as specialist_store
from services.kernel import names
from services.kernel.scheme import AppraisalLevel
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def register_specialist(
    tx: Transaction, number: str, field: str, context: CommandContext, *, provincial: bool
) -> Specialist:
    """Add a specialist; a repeat changes nothing. Raises SpecialistDiffers."""
    specialist = Specialist(names.id_from(number, "specialist"), number, field, provincial)
    await specialist_store.insert(tx, specialist, context.now)
    if await specialist_store.find(tx, number) != specialist:
        raise SpecialistDiffers(field="specialist_number", number=number)
    return specialist


async def draw_panel(
    tx: Transaction,
    appraisal_id: str,
    context: CommandContext,
    *,
    size: int,
    excluded: Sequence[str],
    random: panels.Random,
) -> Appraisal:
    """Draw the panel; `excluded` are names of specialists.

    A re-appraisal draws from the provincial pool, without members of the claim's earlier panels.
    """
    case = await lock_case(tx, appraisal_id, context)
    barred = set(excluded)
    is_re_appraisal = case.appraisal.level is AppraisalLevel.RE_APPRAISAL
    if is_re_appraisal:
        earlier_ids = await panel_store.list_earlier_members(tx, case.appraisal)
        barred |= {specialist_name(member) for member in earlier_ids}
    pool = await specialist_store.list_pool(tx, provincial=is_re_appraisal)
    days = case.days
    panel, finding = panels.draw_panel(pool, size, barred, days.law, days.day, random=random)
    drawn = procedure.draw_panel(case.appraisal, finding, days.day)
    await appraisal_store.update(tx, drawn)
    await panel_store.insert(tx, drawn, panel)
    return drawn


async def record_opinion(
    tx: Transaction, appraisal_id: str, opinion: Opinion, context: CommandContext
) -> Appraisal:
    """Record a member's opinion and check its items against the standard; a repeat changes nothing.

    Raises NotOnPanel, OpinionExists for another opinion, UnknownItem and ImpairmentContradicts.
    """
    case = await lock_case(tx, appraisal_id, context)
    appraisal, days = case.appraisal, case.days
    recorded = procedure.record_opinion(appraisal)
    panel = [member.name for member in await panel_store.list_members(tx, appraisal)]
    if opinion.specialist not in panel:
        raise NotOnPanel(
            field="opinion.specialist",
            specialist=opinion.specialist,
            appraisal=appraisal.name,
            panel=", ".join(panel),
        )
    grade_of(opinion.impairments, appraisal.level, days.law, days.day)
    opinions = await panel_store.list_opinions(tx, context.cipher, appraisal)
    earlier = [past for past in opinions if past.specialist == opinion.specialist]
    if earlier:
        if earlier != [opinion]:
            raise OpinionExists(specialist=opinion.specialist)
        return appraisal
    await appraisal_store.update(tx, recorded)
    await panel_store.insert_opinion(tx, context.cipher, recorded, opinion, context.now)
    return recorded
