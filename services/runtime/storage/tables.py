"""The tables of the runtime, which every service has in its own schema."""

from __future__ import annotations

TABLES = (
    # Raised by the trigger of append-only tables.
    """
    create function refuse_change() returns trigger language plpgsql as $$
    begin
        raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
    end
    $$
    """,
    # Events to publish. The relay numbers the rows in commit order.
    """
    create table outbox (
        id bigint generated always as identity primary key,
        subject text not null,
        payload bytea not null,
        create_time timestamptz not null,
        epoch text,
        pub_seq bigint check (pub_seq > 0),
        send_time timestamptz,
        -- Of the sequence up to this event; see envelope.next_fingerprint.
        fingerprint bytea,
        key_id text,
        signature bytea,
        unique (epoch, pub_seq),
        check (num_nulls(epoch, pub_seq, fingerprint, key_id, signature) in (0, 5)),
        check (send_time is null or pub_seq is not null)
    )
    """,
    "create index outbox_waiting on outbox (id) where pub_seq is null",
    """
    create index outbox_unsent on outbox (epoch, pub_seq)
        where pub_seq is not null and send_time is null
    """,
    # A row per epoch; the last one is current. A database restored from a backup begins a new one.
    """
    create table outbox_counter (
        position integer primary key,
        epoch text not null unique,
        next_seq bigint not null default 1 check (next_seq > 0),
        fingerprint bytea not null default decode(repeat('00', 32), 'hex')
    )
    """,
    """
    insert into outbox_counter (position, epoch)
        values (1, substr(replace(gen_random_uuid()::text, '-', ''), 1, 12))
    """,
    # Events consumed: the primary key makes each event count once.
    """
    create table inbox (
        producer text not null,
        epoch text not null,
        pub_seq bigint not null check (pub_seq > 0),
        subject text not null,
        content_hash bytea not null,
        consume_time timestamptz not null,
        primary key (producer, epoch, pub_seq)
    )
    """,
    # The number up to which nothing is missing, so that the search for gaps need not start at 1.
    """
    create table inbox_mark (
        producer text not null,
        epoch text not null,
        whole_seq bigint not null default 0 check (whole_seq >= 0),
        fingerprint bytea not null default decode(repeat('00', 32), 'hex'),
        primary key (producer, epoch)
    )
    """,
    # Events that could not be handled: the inbox row exists, the effect does not.
    """
    create table dead_letter (
        producer text not null,
        epoch text not null,
        pub_seq bigint not null,
        subject text not null,
        payload bytea not null,
        error text not null,
        create_time timestamptz not null,
        resolve_time timestamptz,
        -- Why a person dismissed it without its effect; empty if a retry succeeded.
        dismissal text not null default '',
        primary key (producer, epoch, pub_seq)
    )
    """,
    # An event whose content differs from the one consumed under its number. While one is open,
    # nothing more of its producer is applied.
    """
    create table event_alarm (
        producer text not null,
        epoch text not null,
        pub_seq bigint not null,
        subject text not null,
        stored_hash bytea not null,
        received_hash bytea not null,
        create_time timestamptz not null,
        resolve_time timestamptz,
        resolution text not null default '',
        primary key (producer, epoch, pub_seq, received_hash),
        check ((resolve_time is null) = (resolution = ''))
    )
    """,
    # Messages that are no events of their producer: counted by reason, so that no flood fills it.
    """
    create table rejected_message (
        stream text not null,
        reason text not null,
        message_count bigint not null,
        first_time timestamptz not null,
        last_time timestamptz not null,
        last_hash bytea not null,
        primary key (stream, reason)
    )
    """,
    "create index dead_letter_open on dead_letter (create_time) where resolve_time is null",
    # Responses by request id: a repeated request gets the stored response.
    """
    create table command (
        platform text not null,
        request_id text not null,
        method text not null,
        request_hash bytea not null,
        response bytea not null,
        create_time timestamptz not null,
        primary key (platform, request_id)
    )
    """,
    # Rows join the hash chain shortly after their transaction; see audit.py.
    """
    create table audit (
        id bigint generated always as identity primary key,
        time timestamptz not null,
        actor text not null,
        action text not null,
        resource text not null,
        request_hash bytea not null,
        seq bigint unique check (seq > 0),
        prev_hash bytea,
        hash bytea,
        check (num_nulls(seq, prev_hash, hash) in (0, 3))
    )
    """,
    "create index audit_unlinked on audit (id) where seq is null",
    """
    create function refuse_audit_change() returns trigger language plpgsql as $$
    begin
        if old.seq is not null or new.seq is null or
            (old.id, old.time, old.actor, old.action, old.resource, old.request_hash) is distinct
            from (new.id, new.time, new.actor, new.action, new.resource, new.request_hash)
        then
            raise exception 'audit is append-only' using errcode = 'restrict_violation';
        end if;
        return new;
    end
    $$
    """,
    """
    create trigger linked_once before update on audit
        for each row execute function refuse_audit_change()
    """,
    """
    create trigger append_only before delete or truncate on audit
        for each statement execute function refuse_change()
    """,
    # The newest link of the chain; linking locks this row.
    """
    create table audit_head (
        single boolean primary key default true check (single),
        seq bigint not null,
        hash bytea not null
    )
    """,
    """
    insert into audit_head (seq, hash) values (0, decode(repeat('00', 32), 'hex'))
    """,
)

APPEND_ONLY = ("inbox", "command")

GRANTS = {
    "outbox": (
        "SELECT",
        "INSERT",
        "UPDATE (epoch, pub_seq, send_time, fingerprint, key_id, signature)",
    ),
    "outbox_counter": ("SELECT", "INSERT", "UPDATE (next_seq, fingerprint)"),
    "inbox": ("SELECT", "INSERT"),
    "inbox_mark": ("SELECT", "INSERT", "UPDATE (whole_seq, fingerprint)"),
    "dead_letter": ("SELECT", "INSERT", "UPDATE (resolve_time, dismissal)"),
    "event_alarm": ("SELECT", "INSERT", "UPDATE (resolve_time, resolution)"),
    "rejected_message": ("SELECT", "INSERT", "UPDATE (message_count, last_time, last_hash)"),
    "command": ("SELECT", "INSERT"),
    "audit": ("SELECT", "INSERT", "UPDATE (seq, prev_hash, hash)"),
    "audit_head": ("SELECT", "UPDATE (seq, hash)"),
}
NAMES = tuple(GRANTS)
