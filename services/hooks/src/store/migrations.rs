//! The schema, by hand for each back end.

use beem_database::Migration;

/// Our own tables; those of claims, of events and of mail come before them.
pub const MIGRATIONS: &[Migration] = &[HOOKS, LATER];

/// `events.position` is counted in `intake.head`, whose row is locked by whoever takes events in until that has
/// committed: so positions are seen in their order, whichever feed an event came from, and a reader who goes on behind one
/// misses nothing.
///
/// A hook has one *lane*: when its next delivery is due, who works on it until when, and how it has been going. An intake
/// that adds deliveries moves `due_ms` under the lane's lock, and so does the worker that leaves it: no delivery is left
/// behind without a lane that says so.
const HOOKS: Migration = Migration {
    name: "hooks-1",
    postgres: "
        CREATE TABLE installation (
            one_row INTEGER PRIMARY KEY CHECK (one_row = 1), created_ms BIGINT NOT NULL, sealing_key TEXT NOT NULL);
        CREATE TABLE hooks (
            id UUID PRIMARY KEY, account_id UUID NOT NULL, url TEXT NOT NULL, event_codes TEXT NOT NULL,
            areas BIGINT NOT NULL, enabled BOOLEAN NOT NULL, disabled_reason TEXT,
            created_by UUID NOT NULL, created_ms BIGINT NOT NULL, updated_ms BIGINT NOT NULL, deleted_ms BIGINT,
            CHECK (enabled = (disabled_reason IS NULL)));
        CREATE INDEX hooks_account ON hooks (account_id, created_ms, id) WHERE deleted_ms IS NULL;
        CREATE TABLE hook_keys (
            hook UUID NOT NULL REFERENCES hooks (id), number BIGINT NOT NULL,
            rsa_public BYTEA NOT NULL, rsa_private BYTEA NOT NULL,
            ed25519_public BYTEA NOT NULL, ed25519_private BYTEA NOT NULL, secret BYTEA NOT NULL,
            created_ms BIGINT NOT NULL, retires_ms BIGINT,
            PRIMARY KEY (hook, number));
        CREATE TABLE lanes (
            hook UUID PRIMARY KEY REFERENCES hooks (id),
            due_ms BIGINT, owner UUID, leased_until_ms BIGINT NOT NULL,
            failures BIGINT NOT NULL, failing_since_ms BIGINT, held_until_ms BIGINT NOT NULL,
            closing BOOLEAN NOT NULL) WITH (fillfactor = 50);
        CREATE INDEX lanes_due ON lanes (due_ms) WHERE due_ms IS NOT NULL;
        CREATE INDEX lanes_closing ON lanes (hook) WHERE closing;
        CREATE TABLE intake (one_row INTEGER PRIMARY KEY CHECK (one_row = 1), head BIGINT NOT NULL);
        CREATE TABLE lost_feeds (source TEXT PRIMARY KEY, lost_ms BIGINT NOT NULL);
        CREATE TABLE events (
            position BIGINT PRIMARY KEY, event_id UUID NOT NULL UNIQUE, account_id UUID NOT NULL,
            event TEXT NOT NULL, area BIGINT NOT NULL, taken_ms BIGINT NOT NULL, body TEXT NOT NULL);
        CREATE INDEX events_account ON events (account_id, position);
        CREATE TABLE event_floors (account_id UUID PRIMARY KEY, purged_to BIGINT NOT NULL);
        CREATE TABLE deliveries (
            id UUID PRIMARY KEY, hook UUID NOT NULL, event_id UUID NOT NULL, event TEXT NOT NULL,
            status TEXT NOT NULL CHECK (status IN ('PENDING', 'DELIVERED', 'FAILED')),
            attempts BIGINT NOT NULL, tries BIGINT NOT NULL, next_ms BIGINT,
            created_ms BIGINT NOT NULL, ended_ms BIGINT,
            UNIQUE (hook, event_id),
            CHECK ((status = 'PENDING') = (next_ms IS NOT NULL)), CHECK ((status = 'PENDING') = (ended_ms IS NULL)));
        CREATE INDEX deliveries_due ON deliveries (hook, next_ms, id) WHERE status = 'PENDING';
        CREATE INDEX deliveries_hook ON deliveries (hook, created_ms, id);
        CREATE INDEX deliveries_ended ON deliveries (ended_ms) WHERE ended_ms IS NOT NULL;
        CREATE TABLE attempts (
            id UUID PRIMARY KEY, delivery UUID NOT NULL, time_ms BIGINT NOT NULL, duration_ms BIGINT NOT NULL,
            status_code BIGINT, error TEXT, answer TEXT);
        CREATE INDEX attempts_delivery ON attempts (delivery, time_ms, id);
        CREATE TABLE replays (
            id UUID PRIMARY KEY, hook UUID NOT NULL REFERENCES hooks (id),
            after_position BIGINT NOT NULL, until_position BIGINT NOT NULL, created_ms BIGINT NOT NULL);
        CREATE TABLE notices (
            id UUID PRIMARY KEY, hook UUID NOT NULL REFERENCES hooks (id), reason TEXT NOT NULL, at_ms BIGINT NOT NULL);",
    sqlite: "
        CREATE TABLE installation (
            one_row INTEGER PRIMARY KEY CHECK (one_row = 1), created_ms INTEGER NOT NULL, sealing_key TEXT NOT NULL) STRICT;
        CREATE TABLE hooks (
            id BLOB PRIMARY KEY, account_id BLOB NOT NULL, url TEXT NOT NULL, event_codes TEXT NOT NULL,
            areas INTEGER NOT NULL, enabled INTEGER NOT NULL, disabled_reason TEXT,
            created_by BLOB NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, deleted_ms INTEGER,
            CHECK (enabled = (disabled_reason IS NULL))) STRICT;
        CREATE INDEX hooks_account ON hooks (account_id, created_ms, id) WHERE deleted_ms IS NULL;
        CREATE TABLE hook_keys (
            hook BLOB NOT NULL REFERENCES hooks (id), number INTEGER NOT NULL,
            rsa_public BLOB NOT NULL, rsa_private BLOB NOT NULL,
            ed25519_public BLOB NOT NULL, ed25519_private BLOB NOT NULL, secret BLOB NOT NULL,
            created_ms INTEGER NOT NULL, retires_ms INTEGER,
            PRIMARY KEY (hook, number)) STRICT;
        CREATE TABLE lanes (
            hook BLOB PRIMARY KEY REFERENCES hooks (id),
            due_ms INTEGER, owner BLOB, leased_until_ms INTEGER NOT NULL,
            failures INTEGER NOT NULL, failing_since_ms INTEGER, held_until_ms INTEGER NOT NULL,
            closing INTEGER NOT NULL) STRICT;
        CREATE INDEX lanes_due ON lanes (due_ms) WHERE due_ms IS NOT NULL;
        CREATE INDEX lanes_closing ON lanes (hook) WHERE closing;
        CREATE TABLE intake (one_row INTEGER PRIMARY KEY CHECK (one_row = 1), head INTEGER NOT NULL) STRICT;
        CREATE TABLE lost_feeds (source TEXT PRIMARY KEY, lost_ms INTEGER NOT NULL) STRICT;
        CREATE TABLE events (
            position INTEGER PRIMARY KEY, event_id BLOB NOT NULL UNIQUE, account_id BLOB NOT NULL,
            event TEXT NOT NULL, area INTEGER NOT NULL, taken_ms INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
        CREATE INDEX events_account ON events (account_id, position);
        CREATE TABLE event_floors (account_id BLOB PRIMARY KEY, purged_to INTEGER NOT NULL) STRICT;
        CREATE TABLE deliveries (
            id BLOB PRIMARY KEY, hook BLOB NOT NULL, event_id BLOB NOT NULL, event TEXT NOT NULL,
            status TEXT NOT NULL CHECK (status IN ('PENDING', 'DELIVERED', 'FAILED')),
            attempts INTEGER NOT NULL, tries INTEGER NOT NULL, next_ms INTEGER,
            created_ms INTEGER NOT NULL, ended_ms INTEGER,
            UNIQUE (hook, event_id),
            CHECK ((status = 'PENDING') = (next_ms IS NOT NULL)), CHECK ((status = 'PENDING') = (ended_ms IS NULL))) STRICT;
        CREATE INDEX deliveries_due ON deliveries (hook, next_ms, id) WHERE status = 'PENDING';
        CREATE INDEX deliveries_hook ON deliveries (hook, created_ms, id);
        CREATE INDEX deliveries_ended ON deliveries (ended_ms) WHERE ended_ms IS NOT NULL;
        CREATE TABLE attempts (
            id BLOB PRIMARY KEY, delivery BLOB NOT NULL, time_ms INTEGER NOT NULL, duration_ms INTEGER NOT NULL,
            status_code INTEGER, error TEXT, answer TEXT) STRICT;
        CREATE INDEX attempts_delivery ON attempts (delivery, time_ms, id);
        CREATE TABLE replays (
            id BLOB PRIMARY KEY, hook BLOB NOT NULL REFERENCES hooks (id),
            after_position INTEGER NOT NULL, until_position INTEGER NOT NULL, created_ms INTEGER NOT NULL) STRICT;
        CREATE TABLE notices (
            id BLOB PRIMARY KEY, hook BLOB NOT NULL REFERENCES hooks (id), reason TEXT NOT NULL, at_ms INTEGER NOT NULL) STRICT;",
};

/// `lanes.failed_ms` is when a hook's receiver failed last, `hooks.told_ms` when its operators were last told by mail that it
/// was disabled. A hook has one replay at most: those that are there become one. Keys of hooks that are deleted retire with
/// them. `pull_key` keeps the positions of [`crate::domain::PullTokens`] to ourselves; `feed_restarts` tells which events may
/// have been here before and are forgotten.
const LATER: Migration = Migration {
    name: "hooks-2",
    postgres: "
        ALTER TABLE installation ADD COLUMN pull_key BYTEA;
        CREATE TABLE feed_restarts (source TEXT PRIMARY KEY, restarted_ms BIGINT NOT NULL);
        ALTER TABLE lanes ADD COLUMN failed_ms BIGINT;
        UPDATE lanes SET failed_ms = failing_since_ms;
        ALTER TABLE hooks ADD COLUMN told_ms BIGINT;
        UPDATE replays SET after_position = merged.after_position, until_position = merged.until_position
        FROM (SELECT hook, MIN(after_position) AS after_position, MAX(until_position) AS until_position
            FROM replays GROUP BY hook) AS merged WHERE merged.hook = replays.hook;
        DELETE FROM replays WHERE id IN (
            SELECT id FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY hook ORDER BY id) AS place FROM replays) AS placed
            WHERE place > 1);
        CREATE UNIQUE INDEX replays_hook ON replays (hook);
        CREATE INDEX attempts_time ON attempts (time_ms);
        CREATE INDEX deliveries_event ON deliveries (hook, event, created_ms, id);
        CREATE INDEX deliveries_status ON deliveries (hook, status, created_ms, id);
        UPDATE hook_keys SET retires_ms = (SELECT deleted_ms FROM hooks WHERE hooks.id = hook_keys.hook)
        WHERE retires_ms IS NULL AND hook IN (SELECT id FROM hooks WHERE deleted_ms IS NOT NULL);",
    sqlite: "
        ALTER TABLE installation ADD COLUMN pull_key BLOB;
        CREATE TABLE feed_restarts (source TEXT PRIMARY KEY, restarted_ms INTEGER NOT NULL) STRICT;
        ALTER TABLE lanes ADD COLUMN failed_ms INTEGER;
        UPDATE lanes SET failed_ms = failing_since_ms;
        ALTER TABLE hooks ADD COLUMN told_ms INTEGER;
        UPDATE replays SET after_position = merged.after_position, until_position = merged.until_position
        FROM (SELECT hook, MIN(after_position) AS after_position, MAX(until_position) AS until_position
            FROM replays GROUP BY hook) AS merged WHERE merged.hook = replays.hook;
        DELETE FROM replays WHERE id IN (
            SELECT id FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY hook ORDER BY id) AS place FROM replays) AS placed
            WHERE place > 1);
        CREATE UNIQUE INDEX replays_hook ON replays (hook);
        CREATE INDEX attempts_time ON attempts (time_ms);
        CREATE INDEX deliveries_event ON deliveries (hook, event, created_ms, id);
        CREATE INDEX deliveries_status ON deliveries (hook, status, created_ms, id);
        UPDATE hook_keys SET retires_ms = (SELECT deleted_ms FROM hooks WHERE hooks.id = hook_keys.hook)
        WHERE retires_ms IS NULL AND hook IN (SELECT id FROM hooks WHERE deleted_ms IS NOT NULL);",
};
