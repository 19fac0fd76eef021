"""The tables of data keys, which every service has in its own schema; see data_keys.py."""

from __future__ import annotations

KEY_TABLES = (
    # The key of the service and of each person whose data it holds, wrapped with a key of the key
    # file; `person` is a keyed hash.
    """
    create table data_key (
        id text primary key,
        person bytea not null unique,
        suite smallint not null,
        wrapped bytea not null,
        wrapping_key text not null,
        create_time timestamptz not null default now()
    )
    """,
    "create index data_key_wrapping on data_key (wrapping_key, id)",
    # Data keys of producers that events name, wrapped with a key of the key file of this service.
    """
    create table producer_key (
        producer text not null,
        id text not null,
        suite smallint not null,
        wrapped bytea not null,
        wrapping_key text not null,
        create_time timestamptz not null default now(),
        primary key (producer, id)
    )
    """,
    "create index producer_key_wrapping on producer_key (wrapping_key, id)",
)
