"""The tables of the runtime, which every service has in its own schema."""

from __future__ import annotations

from services.runtime.storage.act_tables import ACT_TABLES
from services.runtime.storage.key_tables import KEY_TABLES
from services.runtime.storage.law_tables import LAW_TABLES

TABLES = (
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
        -- The month it belongs to: that of its day, or the first one that has not ended.
        month date not null check (extract(day from month) = 1),
        amount_fen bigint not null default 0,
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
    "create index outbox_month on outbox (month)",
    # The months that this service has ended, in order without gaps, each with one event.
    """
    create table ended_month (
        month date primary key check (extract(day from month) = 1),
        previous date unique references ended_month (month),
        event_id bigint not null unique references outbox (id),
        event_count bigint not null check (event_count >= 0),
        sum_fen bigint not null,
        create_time timestamptz not null,
        check (previous + interval '1 month' = month)
    )
    """,
    "create unique index ended_month_first on ended_month ((true)) where previous is null",
    # The month before the first start of the service; its sequence of months begins here.
    """
    create table first_month (
        single boolean primary key default true check (single),
        month date not null check (extract(day from month) = 1)
    )
    """,
    # Every event belongs to a month that has not ended. Whoever ends a month takes the lock
    # exclusively, so that no event of the month is under way.
    """
    create function set_month() returns trigger language plpgsql as $$
    declare
        ended date;
    begin
        perform pg_advisory_xact_lock_shared(
            hashtextextended('oip months ' || tg_table_schema, 0));
        select max(month) into ended from ended_month;
        if new.month is null then
            new.month := greatest(
                date_trunc('month', new.create_time at time zone 'Asia/Shanghai')::date,
                (ended + interval '1 month')::date);
        elsif new.month <= ended then
            raise exception '% has ended', new.month using errcode = 'restrict_violation';
        end if;
        return new;
    end
    $$
    """,
    """
    create trigger set_month before insert on outbox
        for each row execute function set_month()
    """,
    # A row per epoch; the last one is current. A database restored from a backup begins a new one.
    """
    create table outbox_counter (
        position integer primary key,
        epoch text not null unique,
        next_seq bigint not null default 1 check (next_seq > 0),
        fingerprint bytea not null default decode(repeat('00', 32), 'hex'),
        -- Set when the next epoch begins: the highest number that anybody held of this one.
        closed_seq bigint check (closed_seq >= next_seq - 1),
        -- Why it began, and how many lost events were taken back before.
        reason text not null default '',
        lost_count bigint not null default 0
    )
    """,
    # Events that were published before a restore and that the restored database did not hold.
    # Numbered from next_seq of their epoch on; `redone` ones have their row in the outbox.
    """
    create table lost_event (
        epoch text not null references outbox_counter (epoch),
        pub_seq bigint not null check (pub_seq > 0),
        content_hash bytea not null,
        subject text not null,
        -- Null if only the hash is known.
        payload bytea,
        fingerprint bytea not null,
        key_id text not null,
        signature bytea not null,
        summary text not null,
        -- Whether events of this subject, in this scope if there is one, are refused meanwhile.
        blocks boolean not null,
        scope_field text not null,
        scope text not null,
        create_time timestamptz not null,
        resolve_time timestamptz,
        resolution smallint not null default 0,
        reason text not null default '',
        primary key (epoch, pub_seq, content_hash),
        check ((resolve_time is null) = (resolution = 0))
    )
    """,
    "create index lost_event_open on lost_event (subject) where resolve_time is null",
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
        dismissal_code smallint not null default 0 check (dismissal_code between 0 and 5),
        check ((dismissal = '') = (dismissal_code = 0)),
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
    # The local copy of the staff register: the newest StaffChanged of each person.
    """
    create table staff_member (
        member text primary key,
        revision bigint not null check (revision > 0),
        content bytea not null
    )
    """,
    # Each person has rows of their own; an account that moves is for a moment that of nobody.
    """
    create table staff_account (
        issuer text not null,
        subject text not null,
        member text not null references staff_member (member),
        primary key (issuer, subject, member)
    )
    """,
    "create index staff_account_member on staff_account (member)",
    *KEY_TABLES,
    # Responses by request id: a repeated request gets the stored response, which is encrypted. The
    # ids of a caller, by issuer and subject, are nobody else's.
    """
    create table command (
        caller text not null,
        request_id text not null,
        method text not null,
        request_hash bytea not null,
        response bytea not null,
        create_time timestamptz not null,
        primary key (caller, request_id)
    )
    """,
    *ACT_TABLES,
    *LAW_TABLES,
    # Rows join the hash chain shortly after their transaction; see audit.py.
    """
    create table audit (
        id bigint generated always as identity primary key,
        time timestamptz not null,
        actor text not null,
        action text not null,
        resource text not null,
        request_hash bytea not null,
        -- The person of the staff register, and the service that asked for the actor.
        member text not null default '',
        asking_service text not null default '',
        seq bigint unique check (seq > 0),
        prev_hash bytea,
        hash bytea,
        check (num_nulls(seq, prev_hash, hash) in (0, 3))
    )
    """,
    "create index audit_unlinked on audit (id) where seq is null",
    "create index audit_resource on audit (resource text_pattern_ops, id)",
    """
    create function refuse_audit_change() returns trigger language plpgsql as $$
    begin
        if old.seq is not null or new.seq is null or
            (old.id, old.time, old.actor, old.action, old.resource, old.request_hash, old.member,
                old.asking_service) is distinct
            from (new.id, new.time, new.actor, new.action, new.resource, new.request_hash,
                new.member, new.asking_service)
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

APPEND_ONLY = (
    *("inbox", "command", "ended_month", "first_month"),
    *("act_signature", "performed_act"),
    *("law_use", "used_value"),
)

GRANTS = {
    "outbox": (
        "SELECT",
        "INSERT",
        "UPDATE (epoch, pub_seq, send_time, fingerprint, key_id, signature)",
    ),
    "outbox_counter": ("SELECT", "INSERT", "UPDATE (next_seq, fingerprint, closed_seq)"),
    "lost_event": ("SELECT", "INSERT", "UPDATE (resolve_time, resolution, reason)"),
    "ended_month": ("SELECT", "INSERT"),
    "first_month": ("SELECT", "INSERT"),
    "inbox": ("SELECT", "INSERT"),
    "inbox_mark": ("SELECT", "INSERT", "UPDATE (whole_seq, fingerprint)"),
    "dead_letter": ("SELECT", "INSERT", "UPDATE (resolve_time, dismissal, dismissal_code)"),
    "event_alarm": ("SELECT", "INSERT", "UPDATE (resolve_time, resolution)"),
    "rejected_message": ("SELECT", "INSERT", "UPDATE (message_count, last_time, last_hash)"),
    "staff_member": ("SELECT", "INSERT", "UPDATE (revision, content)"),
    "staff_account": ("SELECT", "INSERT", "DELETE"),
    "data_key": ("SELECT", "INSERT", "UPDATE (suite, wrapped, wrapping_key)"),
    "producer_key": ("SELECT", "INSERT", "UPDATE (wrapped, wrapping_key)"),
    "erasure": ("SELECT", "INSERT", "UPDATE (erase_time, obstacle)"),
    "command": ("SELECT", "INSERT"),
    "pending_act": (
        "SELECT",
        "INSERT",
        "UPDATE (withdraw_time, withdraw_member, withdraw_reason)",
    ),
    "act_signature": ("SELECT", "INSERT"),
    "performed_act": ("SELECT", "INSERT"),
    "act_total": ("SELECT", "INSERT", "UPDATE (fen, cap_fen)"),
    "parameter_confirmation": (
        "SELECT",
        "INSERT",
        "UPDATE (revoke_time, revoke_member, revoke_signer, revoke_reason)",
    ),
    "law_use": ("SELECT", "INSERT"),
    "used_value": ("SELECT", "INSERT"),
    "audit": ("SELECT", "INSERT", "UPDATE (seq, prev_hash, hash)"),
    "audit_head": ("SELECT", "UPDATE (seq, hash)"),
}
NAMES = tuple(GRANTS)
