"""Applications for an appraisal: opened on application alone, missing documents, abandonment."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date

from services.grading import events
from services.grading.commands.cases import days_of, lock_case
from services.grading.commands.panels import commit_draw
from services.grading.domain import applications
from services.grading.domain.appraisals import (
    OPEN_STATES,
    Applicant,
    Application,
    Appraisal,
    State,
)
from services.grading.domain.problems import AppraisalOpen
from services.grading.store import appraisals as appraisal_store
from services.grading.store import conclusions as conclusion_store
from services.grading.store import injuries as injury_store
from services.kernel.scheme import AppraisalLevel
from services.runtime.events import outbox
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class Applied:
    """What is applied for: a first appraisal of `claim`, or `level` of the conclusion `previous`.

    `previous` is the id of an appraisal, empty for a first one.
    """

    level: AppraisalLevel
    claim: str
    previous: str
    application: Application


async def open_appraisal(
    tx: Transaction,
    appraisal_id: str,
    applied: Applied,
    allowed: Collection[Applicant],
    context: CommandContext,
) -> Appraisal:
    """Open an appraisal on application; `allowed` is as whom the caller may apply."""
    application = applied.application
    applications.require_applicant(application, allowed)
    previous = None
    if applied.previous:
        previous = await appraisal_store.get(tx, context.cipher, applied.previous)
    injury = await injury_store.lock_known(tx, previous.claim if previous else applied.claim)
    newest = await appraisal_store.lock_newest(tx, context.cipher, injury.claim)
    if newest is not None and newest.state in OPEN_STATES:
        raise AppraisalOpen(appraisal=newest.name)
    concluded = await appraisal_store.lock_newest(tx, context.cipher, injury.claim, State.CONCLUDED)
    days = days_of(injury, context)
    if previous is None:
        opened = applications.open_first(
            appraisal_id, injury, application, concluded=concluded, now=context.now, days=days
        )
    else:
        previous = await appraisal_store.lock(tx, context.cipher, previous.id)
        opened = applications.open_next(
            appraisal_id,
            injury,
            applied.level,
            application,
            previous=previous,
            concluded=concluded,
            services=await conclusion_store.list_services(tx, previous),
            now=context.now,
            days=days,
        )
    opened = replace(opened, number=await appraisal_store.get_next_number(tx, injury.claim))
    await appraisal_store.insert(tx, context.cipher, opened)
    await commit_draw(tx, opened, context)
    if application.inability:
        note = application.inability
        await appraisal_store.insert_note(tx, context.cipher, opened, note, context.now)
    return opened


async def request_documents(
    tx: Transaction, appraisal_id: str, documents: str, until: date, context: CommandContext
) -> Appraisal:
    """Ask the applicant for all missing documents, once."""
    case = await lock_case(tx, appraisal_id, context)
    requested = applications.request_documents(case.appraisal, until, case.days)
    await appraisal_store.update(tx, context.cipher, requested)
    await appraisal_store.insert_note(tx, context.cipher, requested, documents, context.now)
    return requested


async def record_documents(
    tx: Transaction, appraisal_id: str, context: CommandContext
) -> Appraisal:
    """Record that the missing documents have come."""
    case = await lock_case(tx, appraisal_id, context)
    complete = applications.record_documents(case.appraisal)
    await appraisal_store.update(tx, context.cipher, complete)
    return complete


async def withdraw_appraisal(
    tx: Transaction,
    appraisal_id: str,
    reason: str,
    allowed: Collection[Applicant],
    context: CommandContext,
) -> Appraisal:
    """End an application that its applicant withdraws, and publish the end."""
    case = await lock_case(tx, appraisal_id, context)
    withdrawn = applications.withdraw(case.appraisal, allowed, case.days)
    await appraisal_store.update(tx, context.cipher, withdrawn)
    await appraisal_store.insert_note(tx, context.cipher, withdrawn, reason, context.now)
    await outbox.add(tx, events.appraisal_ended(withdrawn, context.today), context.now)
    return withdrawn


async def abandon_appraisal(
    tx: Transaction, appraisal_id: str, context: CommandContext
) -> Appraisal:
    """End an application whose missing documents did not come, and publish the end."""
    case = await lock_case(tx, appraisal_id, context)
    abandoned = applications.abandon(case.appraisal, case.days)
    await appraisal_store.update(tx, context.cipher, abandoned)
    await outbox.add(tx, events.appraisal_ended(abandoned, context.today), context.now)
    return abandoned
