"""The tables of assumed values: which were confirmed, and which acts used which; law_uses.py."""

from __future__ import annotations

LAW_TABLES = (
    # A province has confirmed an assumed value as it stood in the parameters, by a document of its
    # own and two persons. Another value has another digest, so that a change has to be confirmed.
    """
    create table parameter_confirmation (
        id text primary key,
        parameter text not null,
        since date not null,
        jurisdiction text not null,
        value text not null,
        source text not null,
        digest bytea not null check (length(digest) = 32),
        document text not null check (document <> ''),
        document_date date not null,
        member text not null check (member <> ''),
        signer text not null check (signer <> member),
        create_time timestamptz not null,
        revoke_time timestamptz,
        revoke_member text not null default '',
        revoke_signer text not null default '',
        revoke_reason text not null default '',
        unique (id, digest),
        check (revoke_time >= create_time),
        check ((revoke_time is null) = (revoke_reason = ''))
    )
    """,
    # One confirmation of a value is in force at a time.
    """
    create unique index parameter_confirmation_open on parameter_confirmation (digest)
        where revoke_time is null
    """,
    # An act that moves money and the assumed values that it used. In production each has the
    # confirmation on which the act rested.
    """
    create table law_use (
        act text primary key,
        in_production boolean not null,
        value_count integer not null check (value_count >= 0),
        create_time timestamptz not null
    )
    """,
    """
    create table used_value (
        act text not null references law_use (act),
        digest bytea not null check (length(digest) = 32),
        parameter text not null,
        since date not null,
        jurisdiction text not null,
        value text not null,
        source text not null,
        confirmation text,
        primary key (act, digest),
        foreign key (confirmation, digest) references parameter_confirmation (id, digest)
    )
    """,
    "create index used_value_digest on used_value (digest)",
)
