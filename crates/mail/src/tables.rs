//! The table of the queue.

use beem_database::Migration;

/// `mails`; a service puts it after `beem_database`'s.
pub const MIGRATIONS: &[Migration] = &[MAILS];

/// A row waits while it has a payload; sent or failed, it has none and `purge` may forget it. `attempts` is the fence of
/// its lease as well.
const MAILS: Migration = Migration {
    name: "mail-1",
    postgres: "
        CREATE TABLE mails (
            id UUID PRIMARY KEY, to_address TEXT NOT NULL, kind TEXT NOT NULL,
            payload BYTEA,
            created_ms BIGINT NOT NULL, next_ms BIGINT NOT NULL, attempts BIGINT NOT NULL,
            owner UUID, lease_until_ms BIGINT NOT NULL,
            sent_ms BIGINT, failed_ms BIGINT, last_error TEXT,
            CHECK ((payload IS NULL) = (sent_ms IS NOT NULL OR failed_ms IS NOT NULL)));
        CREATE INDEX mails_waiting ON mails (next_ms) WHERE payload IS NOT NULL;
        CREATE INDEX mails_ended ON mails (created_ms) WHERE payload IS NULL;",
    sqlite: "
        CREATE TABLE mails (
            id BLOB PRIMARY KEY, to_address TEXT NOT NULL, kind TEXT NOT NULL,
            payload BLOB,
            created_ms INTEGER NOT NULL, next_ms INTEGER NOT NULL, attempts INTEGER NOT NULL,
            owner BLOB, lease_until_ms INTEGER NOT NULL,
            sent_ms INTEGER, failed_ms INTEGER, last_error TEXT,
            CHECK ((payload IS NULL) = (sent_ms IS NOT NULL OR failed_ms IS NOT NULL))) STRICT;
        CREATE INDEX mails_waiting ON mails (next_ms) WHERE payload IS NOT NULL;
        CREATE INDEX mails_ended ON mails (created_ms) WHERE payload IS NULL;",
};
