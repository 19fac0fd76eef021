"""The pool of specialists and their terms."""

from __future__ import annotations

from dataclasses import replace

from services.grading.domain import panels
from services.grading.domain.law import LAW
from services.grading.domain.panels import Specialist, specialist_name
from services.grading.domain.problems import MemberIsSpecialist, SpecialistDiffers
from services.grading.store import specialists as specialist_store
from services.kernel.problems import NotFound
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def register_specialist(
    tx: Transaction, specialist: Specialist, context: CommandContext
) -> Specialist:
    """Appoint a specialist from today on; a repeat changes nothing.

    Raises SpecialistDiffers or MemberIsSpecialist.
    """
    number = specialist.number
    await specialist_store.find(tx, number)
    if await specialist_store.insert(tx, specialist, context.now):
        term = panels.first_term(LAW, context.today)
        await specialist_store.insert_term(tx, specialist, term, context.now)
    registered = await specialist_store.find(tx, number)
    if registered is None:
        raise MemberIsSpecialist(field="member", member=specialist.member)
    if replace(registered, term=None) != specialist:
        raise SpecialistDiffers(field="specialist_number", number=number)
    return registered


async def renew_specialist(
    tx: Transaction, specialist_id: str, context: CommandContext
) -> Specialist:
    """Appoint a specialist for a further term; raises NotFound and TermRunning."""
    specialist = await specialist_store.get(tx, specialist_id)
    if specialist is None:
        raise NotFound(name=specialist_name(specialist_id))
    term = panels.next_term(specialist, LAW, context.today)
    await specialist_store.insert_term(tx, specialist, term, context.now)
    return replace(specialist, term=term)
