"""The persons in whose name tests act, as the services' local copies of the staff register.

`Databases.fresh` puts them into every database that tests make. A test that needs a person with
other grants stores an entry of its own: `staff_entry` makes it, `store_entries` stores it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import psycopg
from google.protobuf.timestamp_pb2 import Timestamp
from oip.staff.v1 import events_pb2, staff_pb2
from psycopg import sql

from services.runtime.rpc.access import OUTSIDE_REGISTER, PLATFORM_ROLES
from services.runtime.rpc.roles import role_names, role_of
from services.runtime.rpc.staff import Admission, StaffEntry
from services.runtime.rpc.tokens import DEVELOPMENT_ISSUER, Verifier
from services.runtime.rpc.wire import date_to_wire, enum_number
from tests.support.platforms import PEARL, SWIFT, credit_code

# Each is another person, and has every role, for platforms at each of PLATFORMS; the first two act
# for fictional platforms by the hundred.
SUBJECTS = (
    "test",
    "platform",
    "li",
    "wang",
    "wu",
    "someone",
    "auditor",
    "lawyer",
    "officer-li",
    "approver-wu",
    "waimai",
    "engineer",
    "bench",
    "claims",
    "echo",
    "stack",
    "developer",
    # Who take the same step at once.
    *(f"officer-{number}" for number in range(20)),
    *(f"approver-{number}" for number in range(20)),
    "second",
    "sun",
    "zhao",
    *(f"wang-{number}" for number in range(20)),
)
# Each is another person, who has the roles of the authority for one pooling area alone.
AREA_OF = {"guangzhou": "440100", "shenzhen": "440300"}
# Each is a specialist alone, `staffMembers/{subject}`: A0 … for prefectures, P0 … for the province.
SEATS = tuple(f"{letter}{number}" for letter in "AP" for number in range(12))
PLATFORMS = (
    SWIFT,
    PEARL,
    "91460100MA5T00003T",
    "91440101MA5PLT0043",
    "91110108MA00000002",
    "91110108MA01ABCD2H",
    "91440100AA01ABCD2H",
    "91350100M000100W41",
)
MANY = 300
SINCE = date(2000, 1, 1)
AREA_ROLES = ("adjudicator", "appraiser", "fund_officer", "fund_approver")
REGISTER_ROLES = tuple(name for name in role_names() if role_of(name) not in OUTSIDE_REGISTER)


def staff_grant(
    role: str,
    platform: str = "",
    areas: Sequence[str] = (),
    days: tuple[date, date | None] = (SINCE, None),
    day_limit_fen: int = 0,
) -> staff_pb2.RoleGrant:
    """A grant of a role written in lower case; `platform` is a credit code."""
    first, last = days
    return staff_pb2.RoleGrant(
        role=enum_number(role_of(role)),
        areas=areas,
        platform=f"platforms/{platform}" if platform else "",
        day_limit_fen=day_limit_fen,
        from_date=date_to_wire(first),
        until_date=date_to_wire(last) if last else None,
    )


def staff_entry(
    subject: str,
    grants: Iterable[staff_pb2.RoleGrant],
    *,
    member: str = "",
    revision: int = 1,
    issuer: str = DEVELOPMENT_ISSUER,
    absences: Iterable[tuple[date, date]] = (),
    tokens_not_before: Timestamp | None = None,
) -> events_pb2.StaffChanged:
    """The entry of a person with one account."""
    return events_pb2.StaffChanged(
        member=member or f"staffMembers/{subject}",
        revision=revision,
        accounts=[staff_pb2.Account(issuer=issuer, subject=subject)],
        grants=grants,
        absences=[
            staff_pb2.Absence(from_date=date_to_wire(first), until_date=date_to_wire(last))
            for first, last in absences
        ],
        tokens_not_before=tokens_not_before,
    )


def all_grants(platforms: Sequence[str] = PLATFORMS) -> list[staff_pb2.RoleGrant]:
    """Every role of the register, those of platforms at each of `platforms`."""
    return [
        staff_grant(role, platform)
        for role in REGISTER_ROLES
        for platform in (platforms if role_of(role) in PLATFORM_ROLES else ("",))
    ]


def usual_entries() -> list[events_pb2.StaffChanged]:
    """The entries of all SUBJECTS, of AREA_OF and of SEATS."""
    many = (*PLATFORMS, *(credit_code(number) for number in range(MANY)))
    return [
        *(staff_entry(subject, all_grants(many)) for subject in SUBJECTS[:2]),
        *(staff_entry(subject, all_grants()) for subject in SUBJECTS[2:]),
        *(
            staff_entry(subject, [staff_grant(role, areas=[area]) for role in AREA_ROLES])
            for subject, area in AREA_OF.items()
        ),
        *(staff_entry(subject, [staff_grant("specialist")]) for subject in SEATS),
    ]


async def store_entries(
    url: str, services: Iterable[str], entries: Iterable[events_pb2.StaffChanged] | None = None
) -> None:
    """Put entries into the local copies of services, in place of those of the same persons."""
    stored = usual_entries() if entries is None else list(entries)
    async with await psycopg.AsyncConnection.connect(url) as connection:
        for service in services:
            members = sql.Identifier(service, "staff_member")
            accounts = sql.Identifier(service, "staff_account")
            for entry in stored:
                await connection.execute(
                    sql.SQL(
                        "insert into {} (member, revision, content) values (%s, %s, %s)"
                        " on conflict (member) do update"
                        " set revision = excluded.revision, content = excluded.content"
                    ).format(members),
                    (entry.member, entry.revision, entry.SerializeToString(deterministic=True)),
                )
                for account in entry.accounts:
                    await connection.execute(
                        sql.SQL(
                            "delete from {} where issuer = %s and subject = %s and member <> %s"
                        ).format(accounts),
                        (account.issuer, account.subject, entry.member),
                    )
                    await connection.execute(
                        sql.SQL(
                            "insert into {} (issuer, subject, member) values (%s, %s, %s)"
                            " on conflict do nothing"
                        ).format(accounts),
                        (account.issuer, account.subject, entry.member),
                    )


class UsualStaff:
    """The register of a server without a database: the usual staff, and changes by a test."""

    def __init__(self) -> None:
        self.entries = {
            (account.issuer, account.subject): StaffEntry.parse(entry.SerializeToString())
            for entry in usual_entries()
            for account in entry.accounts
        }

    def cached(self, _issuer: str, _subject: str) -> StaffEntry | None:
        return None

    async def read(self, issuer: str, subject: str) -> StaffEntry | None:
        return self.entries.get((issuer, subject))

    async def member_of(self, issuer: str, subject: str) -> str:
        entry = self.entries.get((issuer, subject))
        return entry.member if entry else ""


def usual_admission(verifier: Verifier) -> Admission:
    """Admits the usual staff, for a server without a database."""
    return Admission(verifier, UsualStaff())
