"""Persons who act, their accounts, grants and absences."""

from alembic import op

from services.runtime.storage.migrate import allow, append_only, create_runtime_tables

revision = "staff_0001"
down_revision = None
branch_labels = ("staff",)
depends_on = None


def upgrade() -> None:
    """Create the tables of store/tables.py."""
    create_runtime_tables()
    _create_persons()
    _create_grants()
    allow("member", "SELECT", "INSERT", "UPDATE (tokens_not_before, revision)")
    allow("account", "SELECT", "INSERT", "UPDATE (unlink_time)")
    append_only("role_grant")
    append_only("revocation")
    allow("absence", "SELECT", "INSERT", "UPDATE (withdraw_time)")


def _create_persons() -> None:
    op.execute(
        """
        create table member (
            id text primary key,
            position bigint generated always as identity not null unique,
            identity_index bytea not null unique,
            display_name bytea not null,
            create_time timestamptz not null,
            tokens_not_before timestamptz,
            revision bigint not null check (revision > 0)
        )
        """
    )
    op.execute(
        """
        create table account (
            position bigint generated always as identity primary key,
            issuer text not null,
            subject text not null,
            member text not null references member (id),
            create_time timestamptz not null,
            unlink_time timestamptz check (unlink_time >= create_time)
        )
        """
    )
    op.execute(
        "create unique index account_linked on account (issuer, subject) where unlink_time is null"
    )
    op.execute("create index ix_staff_account_member on account (member)")


def _create_grants() -> None:
    op.execute(
        """
        create table role_grant (
            member text not null references member (id),
            number integer not null check (number > 0),
            role smallint not null check (role in (1, 3, 4, 5, 6, 7, 9, 10)),
            areas text[] not null,
            platform text not null,
            day_limit_fen bigint not null check (day_limit_fen >= 0),
            from_date date not null,
            until_date date check (until_date >= from_date),
            granted_by text not null check (granted_by <> 'staffMembers/' || member),
            create_time timestamptz not null,
            primary key (member, number),
            check ((role in (1, 9)) = (platform <> ''))
        )
        """
    )
    op.execute(
        """
        create table revocation (
            member text not null,
            number integer not null,
            code smallint not null,
            note bytea not null,
            create_time timestamptz not null,
            primary key (member, number),
            foreign key (member, number) references role_grant (member, number)
        )
        """
    )
    op.execute(
        """
        create table absence (
            position bigint generated always as identity primary key,
            member text not null references member (id),
            from_date date not null,
            until_date date not null check (until_date >= from_date),
            create_time timestamptz not null,
            withdraw_time timestamptz check (withdraw_time >= create_time)
        )
        """
    )
    op.execute(
        "create unique index absence_recorded on absence (member, from_date, until_date)"
        " where withdraw_time is null"
    )
