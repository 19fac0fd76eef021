"""The tables of acts that two persons share; service/pending_acts.py reads and writes them."""

from __future__ import annotations

ACT_TABLES = (
    # Acts that wait for a second person, by the request that made them. Their request, preview and
    # reason of withdrawal are encrypted; `resources` names what the request read, each with its
    # revision.
    """
    create table pending_act (
        id text primary key,
        method text not null,
        act text not null,
        sum_fen bigint,
        request_id text not null,
        request bytea not null,
        request_hash bytea not null,
        resources jsonb not null,
        hash bytea not null,
        preview bytea not null,
        maker_member text not null check (maker_member <> ''),
        maker_subject text not null,
        maker jsonb not null,
        create_time timestamptz not null,
        expire_time timestamptz not null check (expire_time > create_time),
        withdraw_time timestamptz,
        withdraw_member text not null default '',
        withdraw_reason bytea,
        unique (maker_subject, request_id),
        unique (id, maker_member),
        check ((withdraw_time is null) = (withdraw_reason is null))
    )
    """,
    "create index pending_act_open on pending_act (create_time, id) where withdraw_time is null",
    # The signature of the other person; it exists if and only if the act has taken effect.
    """
    create table act_signature (
        pending_act text primary key,
        maker_member text not null,
        signer_member text not null check (signer_member <> ''),
        signer_subject text not null,
        hash bytea not null,
        sign_time timestamptz not null,
        foreign key (pending_act, maker_member) references pending_act (id, maker_member),
        check (signer_member <> maker_member)
    )
    """,
    # Every act of the table that took effect, with its signature if it needed one.
    """
    create table performed_act (
        maker_subject text not null,
        request_hash bytea not null,
        method text not null,
        -- Empty if the outcome is one that the table does not name.
        act text not null,
        sum_fen bigint,
        member text not null,
        day date not null,
        needs_signature boolean not null,
        pending_act text unique references act_signature (pending_act),
        create_time timestamptz not null,
        primary key (maker_subject, request_hash),
        check (needs_signature = (pending_act is not null))
    )
    """,
    "create index performed_act_day on performed_act (member, day, act)",
    # What one person has moved on a day by an act made or signed, never more than the limit of that
    # day; with an empty act, by every act.
    """
    create table act_total (
        member text not null,
        day date not null,
        act text not null,
        fen bigint not null check (fen >= 0),
        cap_fen bigint not null,
        primary key (member, day, act),
        check (fen <= cap_fen)
    )
    """,
)
