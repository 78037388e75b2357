//! The schema, by hand for each back end.

use beem_database::Migration;

/// Our own tables; those of claims and audit rows come before them.
pub const MIGRATIONS: &[Migration] = &[Migration {
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
}];
