//! The tables of events and audit rows.

use beem_database::Migration;

/// `outbox`, `event_sequences`, `feed`, `cursors` and `audit_rows`; a service puts them after `beem_database`'s.
pub const MIGRATIONS: &[Migration] = &[EVENTS, AUDIT, LAST_EVENT];

/// `ordinal` grows in the order of inserting, which for one entity is that of its sequence; `position` in the order in
/// which commits were seen. Positions are counted in `feed.head`, so that numbers of purged rows never return.
const EVENTS: Migration = Migration {
    name: "events-1",
    postgres: "
        CREATE TABLE outbox (
            ordinal BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            position BIGINT UNIQUE,
            event_id UUID NOT NULL UNIQUE, account_id UUID NOT NULL,
            event TEXT NOT NULL, source TEXT NOT NULL,
            entity_id TEXT NOT NULL, sequence BIGINT NOT NULL,
            created_ms BIGINT NOT NULL, data TEXT NOT NULL);
        CREATE INDEX outbox_unnumbered ON outbox (ordinal) WHERE position IS NULL;
        CREATE TABLE event_sequences (entity_id TEXT PRIMARY KEY, last BIGINT NOT NULL);
        CREATE TABLE feed (
            one_row INTEGER PRIMARY KEY CHECK (one_row = 1),
            epoch TEXT NOT NULL, head BIGINT NOT NULL, purged_to BIGINT NOT NULL);
        CREATE TABLE cursors (
            feed TEXT PRIMARY KEY, epoch TEXT NOT NULL, position BIGINT NOT NULL, updated_ms BIGINT NOT NULL);",
    sqlite: "
        CREATE TABLE outbox (
            ordinal INTEGER PRIMARY KEY AUTOINCREMENT,
            position INTEGER UNIQUE,
            event_id BLOB NOT NULL UNIQUE, account_id BLOB NOT NULL,
            event TEXT NOT NULL, source TEXT NOT NULL,
            entity_id TEXT NOT NULL, sequence INTEGER NOT NULL,
            created_ms INTEGER NOT NULL, data TEXT NOT NULL) STRICT;
        CREATE INDEX outbox_unnumbered ON outbox (ordinal) WHERE position IS NULL;
        CREATE TABLE event_sequences (entity_id TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT;
        CREATE TABLE feed (
            one_row INTEGER PRIMARY KEY CHECK (one_row = 1),
            epoch TEXT NOT NULL, head INTEGER NOT NULL, purged_to INTEGER NOT NULL) STRICT;
        CREATE TABLE cursors (
            feed TEXT PRIMARY KEY, epoch TEXT NOT NULL, position INTEGER NOT NULL, updated_ms INTEGER NOT NULL) STRICT;",
};

const AUDIT: Migration = Migration {
    name: "audit-1",
    postgres: "
        CREATE TABLE audit_rows (
            id UUID PRIMARY KEY, account_id UUID, time_ms BIGINT NOT NULL,
            actor TEXT NOT NULL, action TEXT NOT NULL, target_type TEXT NOT NULL, target_id TEXT NOT NULL,
            outcome TEXT NOT NULL, before TEXT, after TEXT,
            address TEXT NOT NULL, key_fingerprint TEXT NOT NULL, request_id TEXT NOT NULL,
            pushed BOOLEAN NOT NULL);
        CREATE INDEX audit_rows_unpushed ON audit_rows (id) WHERE NOT pushed;",
    sqlite: "
        CREATE TABLE audit_rows (
            id BLOB PRIMARY KEY, account_id BLOB, time_ms INTEGER NOT NULL,
            actor TEXT NOT NULL, action TEXT NOT NULL, target_type TEXT NOT NULL, target_id TEXT NOT NULL,
            outcome TEXT NOT NULL, before TEXT, after TEXT,
            address TEXT NOT NULL, key_fingerprint TEXT NOT NULL, request_id TEXT NOT NULL,
            pushed INTEGER NOT NULL) STRICT;
        CREATE INDEX audit_rows_unpushed ON audit_rows (id) WHERE NOT pushed;",
};

/// What tells a feed from an earlier copy of it that was restored and has gone another way since.
const LAST_EVENT: Migration = Migration {
    name: "events-2",
    postgres: "ALTER TABLE cursors ADD COLUMN last_event UUID",
    sqlite: "ALTER TABLE cursors ADD COLUMN last_event BLOB",
};
