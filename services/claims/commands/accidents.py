"""Changes of accidents by people: answer a filing's question, contest it, merge two claims."""

from __future__ import annotations

from collections.abc import Collection

from services.claims import events
from services.claims.commands.claims import require_not_own, save, take_in_filing
from services.claims.domain import accidents, transitions
from services.claims.domain.accidents import (
    Accident,
    AccidentAnswer,
    Contest,
    Filing,
    FilingAnswer,
    Reasons,
)
from services.claims.domain.claim import Claim, ClaimState
from services.claims.domain.law import law_as_known
from services.claims.domain.problems import NothingToContest
from services.claims.store import accidents as accident_store
from services.claims.store import claims as claim_store
from services.claims.store import determinations as determination_store
from services.claims.store import filings as filing_store
from services.claims.store import order_records as record_store
from services.runtime.events import outbox
from services.runtime.service import signatures
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def answer_same(
    tx: Transaction, context: CommandContext, filing_id: str, claim_id: str, reasons: Reasons
) -> Filing:
    """A filing is about the accident of another claim: the named one, or the only one near."""
    filing = await _lock_filing(tx, context, filing_id)
    named = claim_id or filing.merged_into
    surviving_id = accidents.claim_of_same(await _near(tx, context, filing), named)
    surviving = await claim_store.lock(tx, context.cipher, surviving_id)
    await require_not_own(tx, context, surviving)
    accidents.require_one_person(surviving, filing)
    transitions.take_in_filing(surviving, filing)
    is_new_part = filing.state is ClaimState.PENDING
    filing = await save(tx, context, transitions.answer_same(filing, surviving_id))
    if is_new_part:
        whole = await accident_store.get_of_claim(tx, surviving_id)
        law = law_as_known(context.today)
        part = accidents.accident_of(filing, law, context.now, part_of=whole)
        await accident_store.insert(tx, part)
        await take_in_filing(tx, context, filing)
    await _record_answer(tx, context, filing, AccidentAnswer.SAME, reasons)
    signatures.note_act("")
    return await filing_store.get(tx, context.cipher, filing_id)


async def answer_distinct(
    tx: Transaction,
    context: CommandContext,
    filing_id: str,
    distinct_from: Collection[str],
    reasons: Reasons,
) -> Filing:
    """A filing is about an accident of its own, distinct from all claims near it.

    If that was answered before and is contested, the answer is recorded again and nothing changes.
    """
    filing = await _lock_filing(tx, context, filing_id)
    near = await _near(tx, context, filing)
    accidents.require_all_read(filing, near, distinct_from)
    is_open = (await filing_store.get(tx, context.cipher, filing_id)).is_open
    if not (filing.accident and is_open):
        filing = await _open_distinct(tx, context, filing, near)
    await _record_answer(tx, context, filing, AccidentAnswer.DISTINCT, reasons)
    return await filing_store.get(tx, context.cipher, filing_id)


async def contest_filing(
    tx: Transaction, context: CommandContext, filing_id: str, reason: str
) -> Filing:
    """Record what a party says against the question on a filing or its last answer.

    Raises NothingToContest for a filing that nobody questioned.
    """
    await claim_store.lock(tx, context.cipher, filing_id)
    filing = await filing_store.get(tx, context.cipher, filing_id)
    if not filing.can_be_contested:
        raise NothingToContest(claim=filing.claim.name)
    contest = Contest(filing_id, len(filing.answers), reason, context.now)
    number = len(filing.contests) + 1
    await accident_store.insert_contest(tx, context.cipher, contest, number, context.actor)
    return await filing_store.get(tx, context.cipher, filing_id)


async def merge_claims(
    tx: Transaction, context: CommandContext, claim_id: str, merged_id: str, reasons: Reasons
) -> Claim:
    """Merge a claim into the surviving one of the same person and accident, and publish it.

    The merged claim ends with its accident and its determination; its documents count for the
    surviving claim as they are.
    """
    person = (await claim_store.get(tx, context.cipher, merged_id)).worker
    await accident_store.lock_person(tx, person)
    first, second = sorted((claim_id, merged_id))
    locked = {
        first: await claim_store.lock(tx, context.cipher, first),
        second: await claim_store.lock(tx, context.cipher, second),
    }
    surviving, merged = locked[claim_id], locked[merged_id]
    for claim in (surviving, merged):
        await require_not_own(tx, context, claim)
    accidents.require_one_person(surviving, merged)
    ended = transitions.merge(merged, claim_id)
    surviving_accident = transitions.take_in_filing(surviving, merged).accident
    if merged.state is ClaimState.DETERMINED:
        await _withdraw_determination(tx, context, merged_id, reasons.text)
    await accident_store.update_merged_into(tx, merged.accident, surviving_accident)
    await claim_store.update_merged_into(tx, merged_id, claim_id)
    await save(tx, context, ended)
    surviving = await take_in_filing(tx, context, ended)
    await _record_answer(tx, context, ended, AccidentAnswer.SAME, reasons)
    event = events.claims_merged(surviving, ended, reasons.code, context.now)
    await outbox.add(tx, event, context.now)
    return surviving


async def _lock_filing(tx: Transaction, context: CommandContext, filing_id: str) -> Claim:
    """A filing that others have made, locked after the person whose accidents it may change."""
    person = (await claim_store.get(tx, context.cipher, filing_id)).worker
    await accident_store.lock_person(tx, person)
    filing = await claim_store.lock(tx, context.cipher, filing_id)
    await require_not_own(tx, context, filing)
    return filing


async def _near(tx: Transaction, context: CommandContext, filing: Claim) -> list[Accident]:
    law = law_as_known(context.today)
    window = accidents.window_of(law, filing.accident_time, filing.place_of_injury)
    near = await accident_store.find_near(tx, filing.worker, window)
    return [accident for accident in near if accident.filing_id != filing.id]


async def _open_distinct(
    tx: Transaction, context: CommandContext, filing: Claim, near: list[Accident]
) -> Claim:
    """Give a filing its accident: a new one, or the one it had before a merge.

    After a merge, the filings that had been part of it are part of it again.
    """
    law, number = law_as_known(context.today), accidents.next_number(near)
    accident = accidents.accident_of(filing, law, context.now, number=number)
    distinct = transitions.answer_distinct(filing, accident.id, context.today, law)
    if not await accident_store.update(tx, accident):
        await accident_store.insert(tx, accident)
    distinct = await save(tx, context, distinct)
    if filing.merged_into:
        await _release(tx, context, filing.merged_into, accident)
    return distinct


async def _release(
    tx: Transaction, context: CommandContext, surviving_id: str, accident: Accident
) -> None:
    """Let a surviving claim, which has to be read again, go on without another accident."""
    surviving = await claim_store.lock(tx, context.cipher, surviving_id)
    await save(tx, context, transitions.release_filing(surviving))
    whole = await accident_store.get_of_claim(tx, surviving_id)
    law = law_as_known(context.today)
    for part in await claim_store.list_parts(tx, context.cipher, surviving_id):
        filing = await filing_store.get(tx, context.cipher, part.id)
        orders = await record_store.find_of_claim(tx, part.id)
        if accidents.belongs_to(filing, accident, whole, orders, law):
            moved = await save(tx, context, transitions.move_filing(part, accident.claim_id))
            own = accidents.accident_of(part, law, context.now, part_of=accident)
            await accident_store.update(tx, own)
            await take_in_filing(tx, context, moved)


async def _withdraw_determination(
    tx: Transaction, context: CommandContext, claim_id: str, reason: str
) -> None:
    """Withdraw the determination of a claim that ends; ClaimsMerged says it to the others."""
    determination = await determination_store.find_latest(tx, context.cipher, claim_id)
    assert determination is not None, claim_id
    await determination_store.insert_revocation(
        tx, context.cipher, determination, reason, revoked_by=context.actor, now=context.now
    )


async def _record_answer(
    tx: Transaction,
    context: CommandContext,
    filing: Claim,
    answer: AccidentAnswer,
    reasons: Reasons,
) -> None:
    """Record what a person answered. All answers and merges pass through here."""
    accidents.require_fitting_code(answer, reasons.code)
    earlier = (await filing_store.get(tx, context.cipher, filing.id)).answers
    record = FilingAnswer(
        claim_id=filing.id,
        number=len(earlier) + 1,
        answer=answer,
        other_claim=filing.merged_into,
        reasons=reasons,
        adjudicator=context.actor,
        create_time=context.now,
    )
    await accident_store.insert_answer(tx, context.cipher, record)
