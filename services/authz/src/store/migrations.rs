//! The schema, by hand for each back end.

use beem_database::Migration;

/// Our own tables; those of claims and audit rows come before them.
pub const MIGRATIONS: &[Migration] = &[STANDINGS, ACTIVE, AUDIT, FORGETTING];

const STANDINGS: Migration = Migration {
    name: "authz-1",
    postgres: "
        CREATE TABLE accounts (
            id UUID PRIMARY KEY,
            role_grant_policy TEXT NOT NULL CHECK (role_grant_policy IN ('HELD', 'ANY')),
            created_ms BIGINT NOT NULL);
        CREATE TABLE standings (
            principal_id UUID PRIMARY KEY,
            account_id UUID NOT NULL REFERENCES accounts (id),
            kind TEXT NOT NULL CHECK (kind IN ('USER', 'CLIENT')),
            enabled BOOLEAN NOT NULL, deleted BOOLEAN NOT NULL,
            roles BIGINT NOT NULL CHECK (roles BETWEEN 0 AND 32767),
            version BIGINT NOT NULL CHECK (version > 0),
            credential_version BIGINT NOT NULL CHECK (credential_version BETWEEN 1 AND version),
            published_version BIGINT NOT NULL CHECK (published_version BETWEEN 0 AND version),
            created_by UUID, rekeyed_by UUID, granted_by UUID,
            created_ms BIGINT NOT NULL, changed_ms BIGINT NOT NULL);
        CREATE INDEX standings_account ON standings (account_id, created_ms, principal_id);
        CREATE INDEX standings_unpublished ON standings (principal_id) WHERE published_version < version;
        CREATE TABLE prepared_changes (
            effect_key TEXT PRIMARY KEY,
            account_id UUID NOT NULL, principal_id UUID NOT NULL REFERENCES standings (principal_id),
            actor_id UUID,
            add_roles BIGINT NOT NULL CHECK (add_roles BETWEEN 0 AND 32767), enable BOOLEAN NOT NULL,
            prepared_ms BIGINT NOT NULL, committed_ms BIGINT);
        CREATE INDEX prepared_changes_open ON prepared_changes (principal_id)
            WHERE committed_ms IS NULL AND (add_roles > 0 OR enable);",
    sqlite: "
        CREATE TABLE accounts (
            id BLOB PRIMARY KEY,
            role_grant_policy TEXT NOT NULL CHECK (role_grant_policy IN ('HELD', 'ANY')),
            created_ms INTEGER NOT NULL) STRICT;
        CREATE TABLE standings (
            principal_id BLOB PRIMARY KEY,
            account_id BLOB NOT NULL REFERENCES accounts (id),
            kind TEXT NOT NULL CHECK (kind IN ('USER', 'CLIENT')),
            enabled INTEGER NOT NULL, deleted INTEGER NOT NULL,
            roles INTEGER NOT NULL CHECK (roles BETWEEN 0 AND 32767),
            version INTEGER NOT NULL CHECK (version > 0),
            credential_version INTEGER NOT NULL CHECK (credential_version BETWEEN 1 AND version),
            published_version INTEGER NOT NULL CHECK (published_version BETWEEN 0 AND version),
            created_by BLOB, rekeyed_by BLOB, granted_by BLOB,
            created_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL) STRICT;
        CREATE INDEX standings_account ON standings (account_id, created_ms, principal_id);
        CREATE INDEX standings_unpublished ON standings (principal_id) WHERE published_version < version;
        CREATE TABLE prepared_changes (
            effect_key TEXT PRIMARY KEY,
            account_id BLOB NOT NULL, principal_id BLOB NOT NULL REFERENCES standings (principal_id),
            actor_id BLOB,
            add_roles INTEGER NOT NULL CHECK (add_roles BETWEEN 0 AND 32767), enable INTEGER NOT NULL,
            prepared_ms INTEGER NOT NULL, committed_ms INTEGER) STRICT;
        CREATE INDEX prepared_changes_open ON prepared_changes (principal_id)
            WHERE committed_ms IS NULL AND (add_roles > 0 OR enable);",
};

/// Whoever was there before there were invitations had nothing to activate.
const ACTIVE: Migration = Migration {
    name: "authz-2",
    postgres: "ALTER TABLE standings ADD COLUMN active BOOLEAN NOT NULL DEFAULT TRUE",
    sqlite: "ALTER TABLE standings ADD COLUMN active INTEGER NOT NULL DEFAULT 1",
};

/// The audit trail: rows, where each chain ends, heads that were signed; and refusals of callers nobody knows.
const AUDIT: Migration = Migration {
    name: "authz-3",
    postgres: "
        CREATE TABLE audit_events (
            account_id UUID NOT NULL, sequence BIGINT NOT NULL CHECK (sequence > 0),
            id UUID NOT NULL UNIQUE, time_ms BIGINT NOT NULL,
            actor_id TEXT NOT NULL, actor_kind TEXT NOT NULL, actor_name TEXT NOT NULL,
            action TEXT NOT NULL, target_type TEXT NOT NULL, target_id TEXT NOT NULL,
            outcome TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL,
            address TEXT NOT NULL, key_fingerprint TEXT NOT NULL, request_id TEXT NOT NULL,
            hash BYTEA NOT NULL,
            PRIMARY KEY (account_id, sequence));
        CREATE INDEX audit_events_time ON audit_events (account_id, time_ms, id);
        CREATE INDEX audit_events_actor ON audit_events (account_id, actor_id, time_ms, id);
        CREATE INDEX audit_events_action ON audit_events (account_id, action, time_ms, id);
        CREATE TABLE audit_chains (
            account_id UUID PRIMARY KEY,
            sequence BIGINT NOT NULL CHECK (sequence >= 0), hash BYTEA NOT NULL,
            signed_sequence BIGINT NOT NULL, signed_ms BIGINT NOT NULL);
        CREATE INDEX audit_chains_unsigned ON audit_chains (signed_ms) WHERE signed_sequence < sequence;
        CREATE TABLE audit_heads (
            account_id UUID NOT NULL, sequence BIGINT NOT NULL CHECK (sequence > 0),
            hash BYTEA NOT NULL, time_ms BIGINT NOT NULL, signature BYTEA NOT NULL,
            PRIMARY KEY (account_id, sequence));
        CREATE TABLE refusal_counts (
            address TEXT NOT NULL, minute_s BIGINT NOT NULL, code TEXT NOT NULL,
            count BIGINT NOT NULL CHECK (count > 0),
            PRIMARY KEY (address, minute_s, code));
        CREATE INDEX refusal_counts_minute ON refusal_counts (minute_s);
        CREATE TABLE refusal_reports (id UUID PRIMARY KEY, reported_ms BIGINT NOT NULL);
        CREATE INDEX refusal_reports_time ON refusal_reports (reported_ms);",
    sqlite: "
        CREATE TABLE audit_events (
            account_id BLOB NOT NULL, sequence INTEGER NOT NULL CHECK (sequence > 0),
            id BLOB NOT NULL UNIQUE, time_ms INTEGER NOT NULL,
            actor_id TEXT NOT NULL, actor_kind TEXT NOT NULL, actor_name TEXT NOT NULL,
            action TEXT NOT NULL, target_type TEXT NOT NULL, target_id TEXT NOT NULL,
            outcome TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL,
            address TEXT NOT NULL, key_fingerprint TEXT NOT NULL, request_id TEXT NOT NULL,
            hash BLOB NOT NULL,
            PRIMARY KEY (account_id, sequence)) STRICT;
        CREATE INDEX audit_events_time ON audit_events (account_id, time_ms, id);
        CREATE INDEX audit_events_actor ON audit_events (account_id, actor_id, time_ms, id);
        CREATE INDEX audit_events_action ON audit_events (account_id, action, time_ms, id);
        CREATE TABLE audit_chains (
            account_id BLOB PRIMARY KEY,
            sequence INTEGER NOT NULL CHECK (sequence >= 0), hash BLOB NOT NULL,
            signed_sequence INTEGER NOT NULL, signed_ms INTEGER NOT NULL) STRICT;
        CREATE INDEX audit_chains_unsigned ON audit_chains (signed_ms) WHERE signed_sequence < sequence;
        CREATE TABLE audit_heads (
            account_id BLOB NOT NULL, sequence INTEGER NOT NULL CHECK (sequence > 0),
            hash BLOB NOT NULL, time_ms INTEGER NOT NULL, signature BLOB NOT NULL,
            PRIMARY KEY (account_id, sequence)) STRICT;
        CREATE TABLE refusal_counts (
            address TEXT NOT NULL, minute_s INTEGER NOT NULL, code TEXT NOT NULL,
            count INTEGER NOT NULL CHECK (count > 0),
            PRIMARY KEY (address, minute_s, code)) STRICT;
        CREATE INDEX refusal_counts_minute ON refusal_counts (minute_s);
        CREATE TABLE refusal_reports (id BLOB PRIMARY KEY, reported_ms INTEGER NOT NULL) STRICT;
        CREATE INDEX refusal_reports_time ON refusal_reports (reported_ms);",
};

/// Prepared changes are forgotten some days after their commit; those that had nothing to add are not kept at all any more.
const FORGETTING: Migration = Migration { name: "authz-4", postgres: FORGET, sqlite: FORGET };

const FORGET: &str = "
    DELETE FROM prepared_changes WHERE committed_ms IS NULL AND add_roles = 0 AND NOT enable;
    CREATE INDEX prepared_changes_committed ON prepared_changes (committed_ms) WHERE committed_ms IS NOT NULL";
