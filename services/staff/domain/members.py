"""A person who acts (经办人员): accounts, grants and absences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import Enum

from services.kernel import names
from services.kernel.problems import Malformed, NotFound, OutOfRange
from services.staff.domain.problems import (
    AbsenceNotRecorded,
    AccountLinked,
    AccountNotLinked,
    GrantRevoked,
    LastAccount,
    TooFewAdministrators,
)
from services.staff.domain.roles import NewGrant

DISPLAY_NAME_LENGTH_MAX = 100
IDENTITY_LENGTH_MAX = 40
TEXT_LENGTH_MAX = 200
ACCOUNTS_MAX = 10
ABSENCE_DAYS_MAX = 366
# Who registers the first members: the operator of the database, before anybody has a role.
OPERATOR = "operator"
# With fewer, no grant could be signed by two persons.
ADMINISTRATORS_MIN = 2


class RevocationCode(Enum):
    """Why a grant was revoked; numbers as in the proto."""

    LEFT = 1
    OTHER_DUTIES = 2
    GRANTED_BY_MISTAKE = 3
    MISUSE = 4


@dataclass(frozen=True)
class Account:
    """An account of an identity provider: `iss` and `sub` of its tokens."""

    issuer: str
    subject: str


@dataclass(frozen=True)
class Revocation:
    """When and why a grant was revoked."""

    time: datetime
    code: RevocationCode
    note: str


@dataclass(frozen=True)
class RoleGrant:
    """A role from a day until a day; `number` counts the grants of the person from 1.

    `granted_by` is the person who granted it, `staffMembers/{id}`, or OPERATOR.
    """

    number: int
    grant: NewGrant
    granted_by: str
    revocation: Revocation | None = None


@dataclass(frozen=True)
class Absence:
    """Days, both included, on which a person does not act."""

    from_date: date
    until_date: date


@dataclass(frozen=True)
class NewMember:
    """The particulars under which a person is registered; the identity number is not stored."""

    display_name: str = field(repr=False)
    identity: str = field(repr=False)
    accounts: tuple[Account, ...]


@dataclass(frozen=True)
class FirstMember:
    """A person to register before anybody is in the register, with grants."""

    person: NewMember
    grants: tuple[NewGrant, ...]


@dataclass(frozen=True)
class StaffMember:
    """A person of the register; `revision` counts the changes, from 1."""

    id: str
    display_name: str = field(repr=False)
    accounts: tuple[Account, ...]
    grants: tuple[RoleGrant, ...]
    absences: tuple[Absence, ...]
    create_time: datetime
    revision: int
    tokens_not_before: datetime | None = None

    @property
    def name(self) -> str:
        """The resource name, `staffMembers/{id}`."""
        return member_name(self.id)

    def grant_of(self, number: int) -> RoleGrant:
        """The grant with a number; raises NotFound."""
        for grant in self.grants:
            if grant.number == number:
                return grant
        raise NotFound(name=f"{self.name}/grants/{number}")

    def acts_for(self, platform: str) -> bool:
        """Whether a grant names the platform of a credit code."""
        return any(grant.grant.platform == platform for grant in self.grants)

    def acts_only_for(self, platform: str) -> bool:
        """Whether the grants that are not revoked name this platform and no other place."""
        live = [grant for grant in self.grants if grant.revocation is None]
        return bool(live) and all(grant.grant.platform == platform for grant in live)

    def linked(self, account: Account) -> StaffMember:
        """The person with one more account; raises AccountLinked if it is there already."""
        if account in self.accounts:
            raise AccountLinked(field="account", subject=account.subject, name=self.name)
        if len(self.accounts) == ACCOUNTS_MAX:
            raise Malformed.of(
                "account",
                "TOO_MANY_ACCOUNTS",
                "a person has at most {most} accounts",
                "每人至多 {most} 个账号",
                most=ACCOUNTS_MAX,
            )
        return replace(self, accounts=(*self.accounts, account))

    def unlinked(self, account: Account) -> StaffMember:
        """The person without an account. Raises AccountNotLinked or LastAccount."""
        if account not in self.accounts:
            raise AccountNotLinked(field="account", subject=account.subject, name=self.name)
        if len(self.accounts) == 1:
            raise LastAccount(field="account", subject=account.subject, name=self.name)
        return replace(self, accounts=tuple(a for a in self.accounts if a != account))

    def granted(self, grant: NewGrant, granted_by: str) -> StaffMember:
        """The person with one more grant."""
        number = len(self.grants) + 1
        return replace(self, grants=(*self.grants, RoleGrant(number, grant, granted_by)))

    def revoked(self, number: int, revocation: Revocation) -> StaffMember:
        """The person with a grant revoked. Raises NotFound or GrantRevoked."""
        grant = self.grant_of(number)
        if grant.revocation is not None:
            raise GrantRevoked(name=f"{self.name}/grants/{number}")
        ended = replace(grant, revocation=revocation)
        grants = tuple(ended if g.number == number else g for g in self.grants)
        return replace(self, grants=grants)

    def absent(self, absence: Absence) -> StaffMember:
        """The person with one more absence; one that is recorded already changes nothing."""
        if absence in self.absences:
            return self
        return replace(self, absences=(*self.absences, absence))

    def without_absence(self, absence: Absence) -> StaffMember:
        """The person without an absence; raises AbsenceNotRecorded."""
        if absence not in self.absences:
            days = {"first": absence.from_date, "last": absence.until_date}
            raise AbsenceNotRecorded(field="absence", name=self.name, **days)
        return replace(self, absences=tuple(a for a in self.absences if a != absence))

    def without_sessions(self, now: datetime) -> StaffMember:
        """The person whose tokens from before `now` are void."""
        return replace(self, tokens_not_before=now)


def member_name(member_id: str) -> str:
    """The resource name of a person of the register."""
    return names.name("staffMembers", member_id)


def account_of(issuer: str, subject: str, field_name: str = "account") -> Account:
    """An account as written. Raises Malformed if a part is missing or too long."""
    for part, text in (("issuer", issuer), ("subject", subject)):
        if not 1 <= len(text) <= TEXT_LENGTH_MAX or text != text.strip() or not text.isprintable():
            raise Malformed.of(
                f"{field_name}.{part}",
                "TEXT_LENGTH",
                "write 1 to {most} characters, all of which can be seen",
                "请填写 1 至 {most} 个可见字符",
                most=TEXT_LENGTH_MAX,
            )
    return Account(issuer, subject)


def accounts_of(accounts: Sequence[Account]) -> tuple[Account, ...]:
    """The accounts of a new person, 1 to 10, each once; raises Malformed."""
    distinct = tuple(dict.fromkeys(accounts))
    if not 1 <= len(distinct) <= ACCOUNTS_MAX:
        raise OutOfRange.of("accounts", len(distinct), 1, ACCOUNTS_MAX)
    return distinct


def display_name_of(text: str) -> str:
    """The name of a person, without outer blanks; raises Malformed."""
    stripped = text.strip()
    if not 1 <= len(stripped) <= DISPLAY_NAME_LENGTH_MAX or not stripped.isprintable():
        raise Malformed.of(
            "display_name",
            "TEXT_LENGTH",
            "write 1 to {most} characters, all of which can be seen",
            "请填写 1 至 {most} 个可见字符",
            most=DISPLAY_NAME_LENGTH_MAX,
        )
    return stripped


def identity_of(text: str) -> str:
    """The identity number in one spelling: capitals, without blanks; raises Malformed."""
    number = "".join(text.split()).upper()
    if not 1 <= len(number) <= IDENTITY_LENGTH_MAX or not number.isascii():
        raise Malformed.of(
            "identity_number",
            "NOT_AN_IDENTITY",
            "write the number of the identity document",
            "请填写证件号码",
        )
    return number


def absence_of(from_date: date, until_date: date) -> Absence:
    """An absence; raises Malformed if it ends before it begins, or lasts for over a year."""
    if until_date < from_date:
        raise Malformed.of(
            "absence.until_date",
            "ENDS_BEFORE_IT_BEGINS",
            "the last day lies before the first",
            "结束日期早于开始日期; 请核对",
        )
    if (until_date - from_date).days >= ABSENCE_DAYS_MAX:
        raise Malformed.of(
            "absence.until_date",
            "ABSENCE_TOO_LONG",
            "record at most {most} days; for longer, revoke the roles",
            "至多登记 {most} 天; 更长请撤销角色",
            most=ABSENCE_DAYS_MAX,
        )
    return Absence(from_date, until_date)


def require_administrators(count: int) -> None:
    """Raise TooFewAdministrators if fewer than two administrators would remain."""
    if count < ADMINISTRATORS_MIN:
        raise TooFewAdministrators(least=ADMINISTRATORS_MIN)
