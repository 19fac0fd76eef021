"""Services of conclusions, and corrections, which say what is wrong with a person: encrypted."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from services.grading.domain.appraisals import Appraisal, Recipient, Service, ServiceMeans
from services.grading.domain.conclusions import Correction
from services.grading.store import ciphers
from services.grading.store.tables import conclusion_services, corrections
from services.runtime.storage import revisions
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


async def insert_service(
    tx: Transaction, appraisal: Appraisal, service: Service, now: datetime
) -> None:
    """Add a service of the conclusion in force; it replaces an earlier one on this recipient."""
    earlier = sa.select(sa.func.count()).where(
        conclusion_services.c.appraisal == appraisal.id,
        conclusion_services.c.conclusion_number == appraisal.conclusion_number,
        conclusion_services.c.recipient == service.recipient.name,
    )
    row = {
        "appraisal": appraisal.id,
        "conclusion_number": appraisal.conclusion_number,
        "recipient": service.recipient.name,
        "entry": (await tx.execute(earlier)).scalar_one() + 1,
        "means": service.means.name,
        "serve_date": service.day,
        "create_time": now,
    }
    await tx.execute(sa.insert(conclusion_services).values(row))


async def list_services(tx: Transaction, appraisal: Appraisal) -> list[Service]:
    """The services of the conclusion in force, by recipient."""
    statement = (
        sa.select(conclusion_services)
        .ext(distinct_on(conclusion_services.c.recipient))
        .where(
            conclusion_services.c.appraisal == appraisal.id,
            conclusion_services.c.conclusion_number == appraisal.conclusion_number,
        )
        .order_by(conclusion_services.c.recipient.desc(), conclusion_services.c.entry.desc())
    )
    found = [
        Service(Recipient[row.recipient], ServiceMeans[row.means], row.serve_date)
        for row in await tx.execute(statement)
    ]
    revisions.note(f"{appraisal.name} services", found)
    return found


async def insert_correction(
    tx: Transaction,
    cipher: ColumnCipher,
    appraisal: Appraisal,
    correction: Correction,
    now: datetime,
) -> None:
    """Add what stands in the place of the wrong conclusion."""
    number = appraisal.conclusion_number
    cipher = await ciphers.get_of_claim(tx, cipher, appraisal.claim)
    content = {
        "impairments": [asdict(impairment) for impairment in correction.impairments],
        "care_items": sorted(item.name for item in correction.care_items),
    }
    row = {
        "appraisal": appraisal.id,
        "conclusion_number": number,
        "code": correction.code.name,
        "content": cipher.encrypt(json.dumps(content), f"correction:{appraisal.id}:{number}"),
        "create_time": now,
    }
    await tx.execute(sa.insert(corrections).values(row))
