"""Events of the staff register: domain values in, event messages out."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message
from oip.staff.v1 import events_pb2, staff_pb2

from services.kernel import names
from services.runtime.rpc.wire import date_to_wire, enum_number, moment_to_wire
from services.runtime.service.context import Guard
from services.staff.domain.members import Absence, RoleGrant, StaffMember


def _changed(event: events_pb2.StaffChanged) -> str:
    return f"{event.member}: revision {event.revision}"


# Lost in a restore, a change of a person keeps other changes of the same person from being
# published under the same revision.
GUARDS: Mapping[type[Message], Guard] = {events_pb2.StaffChanged: Guard("member", _changed)}


def staff_changed(member: StaffMember) -> events_pb2.StaffChanged:
    """The whole entry of a person, without the name and without revoked grants."""
    return events_pb2.StaffChanged(
        member=member.name,
        revision=member.revision,
        accounts=[
            staff_pb2.Account(issuer=account.issuer, subject=account.subject)
            for account in member.accounts
        ],
        grants=[
            grant_to_wire(member.name, grant) for grant in member.grants if grant.revocation is None
        ],
        absences=[absence_to_wire(absence) for absence in member.absences],
        tokens_not_before=moment_to_wire(member.tokens_not_before)
        if member.tokens_not_before
        else None,
    )


def grant_to_wire(member_name: str, grant: RoleGrant) -> staff_pb2.RoleGrant:
    """A grant, as events and responses carry it."""
    terms, ended = grant.grant, grant.revocation
    return staff_pb2.RoleGrant(
        name=f"{member_name}/grants/{grant.number}",
        role=enum_number(terms.role.value),
        areas=terms.areas,
        platform=names.name("platforms", terms.platform) if terms.platform else "",
        day_limit_fen=terms.day_limit_fen,
        from_date=date_to_wire(terms.from_date),
        until_date=date_to_wire(terms.until_date) if terms.until_date else None,
        revoke_time=moment_to_wire(ended.time) if ended else None,
        revocation_code=enum_number(ended.code.value if ended else 0),
        revocation_note=ended.note if ended else "",
        granted_by=grant.granted_by,
    )


def absence_to_wire(absence: Absence) -> staff_pb2.Absence:
    """An absence, as events and responses carry it."""
    return staff_pb2.Absence(
        from_date=date_to_wire(absence.from_date), until_date=date_to_wire(absence.until_date)
    )
