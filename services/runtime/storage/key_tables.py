"""The tables of data keys, which every service has in its own schema; see data_keys.py."""

from __future__ import annotations

KEY_TABLES = (
    # The key of the service and of each person whose data it holds, wrapped with a key of the key
    # file; `person` is a keyed hash. A row without a wrapped key is that of a person who was
    # erased: the key was destroyed, and there will be no other one. Its suite is 0 if nothing was
    # ever under it.
    """
    create table data_key (
        id text primary key,
        person bytea not null unique,
        suite smallint not null,
        wrapped bytea,
        wrapping_key text,
        create_time timestamptz not null default now(),
        check ((wrapped is null) = (wrapping_key is null))
    )
    """,
    "create index data_key_wrapping on data_key (wrapping_key, id)",
    # Data keys of producers that events name, wrapped with a key of the key file of this service;
    # without a wrapped key once the producer has destroyed its own.
    """
    create table producer_key (
        producer text not null,
        id text not null,
        suite smallint not null,
        wrapped bytea,
        wrapping_key text,
        create_time timestamptz not null default now(),
        primary key (producer, id),
        check ((wrapped is null) = (wrapping_key is null))
    )
    """,
    "create index producer_key_wrapping on producer_key (wrapping_key, id)",
    # Who is erased, why and, in the service that decided it, by whom. Without a time of erasure the
    # key still stands, because of the obstacle.
    """
    create table erasure (
        position bigint generated always as identity unique,
        person bytea primary key,
        name text not null unique,
        code smallint not null check (code > 0),
        document_number text not null check (document_number <> ''),
        document_hash bytea not null check (length(document_hash) = 32),
        maker text not null,
        signer text not null check (signer = '' or signer <> maker),
        create_time timestamptz not null,
        erase_time timestamptz,
        obstacle text not null,
        check ((erase_time is null) = (obstacle <> ''))
    )
    """,
    # A key that was destroyed stays so, whatever a copy of the row may hold.
    """
    create function refuse_destroyed_key() returns trigger language plpgsql as $$
    begin
        if old.wrapped is null then
            raise exception 'the data key was destroyed' using errcode = 'restrict_violation';
        end if;
        return new;
    end
    $$
    """,
    """
    create trigger destroyed_once before update on data_key
        for each row execute function refuse_destroyed_key()
    """,
    """
    create trigger destroyed_once before update on producer_key
        for each row execute function refuse_destroyed_key()
    """,
    """
    create function refuse_erasure_change() returns trigger language plpgsql as $$
    begin
        if old.erase_time is not null then
            raise exception 'an erasure is final' using errcode = 'restrict_violation';
        end if;
        return new;
    end
    $$
    """,
    """
    create trigger final before update on erasure
        for each row execute function refuse_erasure_change()
    """,
)
