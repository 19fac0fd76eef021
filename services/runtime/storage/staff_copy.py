"""The local copy of the staff register: the newest entry of each person, and whose an account is.

Every person has rows of their own, so that the order in which changes arrive does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import text

from services.runtime.storage.database import Transaction

_STORE = text(
    "insert into staff_member (member, revision, content) values (:member, :revision, :content)"
    " on conflict (member) do update set revision = excluded.revision, content = excluded.content"
    " where staff_member.revision < excluded.revision returning member"
)
_UNLINK = text("delete from staff_account where member = :member")
_LINK = text(
    "insert into staff_account (issuer, subject, member)"
    " select issuer, subject, :member"
    " from unnest(cast(:issuers as text[]), cast(:subjects as text[])) as account (issuer, subject)"
)
_FIND = text(
    "select content from staff_member join staff_account using (member)"
    " where issuer = :issuer and subject = :subject limit 2"
)

_IS_OF = text(
    "select from staff_account where issuer = :issuer and subject = :subject and member = :member"
)


async def store(
    tx: Transaction,
    member: str,
    revision: int,
    accounts: Iterable[tuple[str, str]],
    content: bytes,
) -> bool:
    """Keep an entry if it is newer than the stored one; whether it is."""
    row = {"member": member, "revision": revision, "content": content}
    if (await tx.execute(_STORE, row)).first() is None:
        return False
    linked = sorted(set(accounts))
    await tx.execute(_UNLINK, {"member": member})
    await tx.execute(
        _LINK,
        {
            "member": member,
            "issuers": [issuer for issuer, _ in linked],
            "subjects": [subject for _, subject in linked],
        },
    )
    return True


async def find(tx: Transaction, issuer: str, subject: str) -> bytes | None:
    """The entry of the person with an account.

    None also while an account moves from one person to another and one change is still missing.
    """
    rows = (await tx.execute(_FIND, {"issuer": issuer, "subject": subject})).all()
    return bytes(rows[0].content) if len(rows) == 1 else None


async def is_account_of(tx: Transaction, issuer: str, subject: str, member: str) -> bool:
    """Whether an account is one of a person, as the register has it now."""
    key = {"issuer": issuer, "subject": subject, "member": member}
    return (await tx.execute(_IS_OF, key)).first() is not None
