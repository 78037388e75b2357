//! The schema, per back end. A text never changes once released.

use beem_database::Migration;

/// Identity's own tables, after those of the crates it builds on.
pub const MIGRATIONS: &[Migration] = &[Migration {
    name: "identity-1",
    postgres: "
        CREATE TABLE installation (
            singleton BOOLEAN PRIMARY KEY CHECK (singleton),
            id UUID NOT NULL, environment TEXT NOT NULL CHECK (environment IN ('sandbox', 'live')),
            created_ms BIGINT NOT NULL);
        CREATE TABLE accounts (
            id UUID PRIMARY KEY, name TEXT NOT NULL, base_currency TEXT NOT NULL,
            role_grant_policy TEXT NOT NULL CHECK (role_grant_policy IN ('held', 'any')),
            network_fee_payer TEXT NOT NULL CHECK (network_fee_payer IN ('MERCHANT', 'RECIPIENT')),
            owner_email TEXT NOT NULL, changing UUID,
            effect_key TEXT NOT NULL UNIQUE, first_principal_id UUID NOT NULL, first_client_id UUID NOT NULL,
            created_ms BIGINT NOT NULL);
        CREATE INDEX accounts_created ON accounts (created_ms, id);
        CREATE TABLE clients (
            id UUID PRIMARY KEY, client_id UUID NOT NULL UNIQUE, account_id UUID NOT NULL REFERENCES accounts (id),
            name TEXT NOT NULL, network_whitelist TEXT NOT NULL,
            public_key TEXT NOT NULL, key_algorithm TEXT NOT NULL, key_fingerprint TEXT NOT NULL,
            retiring_public_key TEXT, retiring_algorithm TEXT, retiring_fingerprint TEXT,
            retiring_not_after_ms BIGINT, credential_version BIGINT NOT NULL, changing UUID,
            created_by UUID, created_ms BIGINT NOT NULL, deleted_ms BIGINT,
            CHECK ((retiring_public_key IS NULL) = (retiring_not_after_ms IS NULL)));
        CREATE INDEX clients_listed ON clients (account_id, created_ms, id) WHERE deleted_ms IS NULL;
        CREATE TABLE client_uses (
            principal_id UUID PRIMARY KEY REFERENCES clients (id),
            first_ms BIGINT NOT NULL, first_address TEXT NOT NULL,
            last_ms BIGINT NOT NULL, last_address TEXT NOT NULL);",
    sqlite: "
        CREATE TABLE installation (
            singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
            id BLOB NOT NULL, environment TEXT NOT NULL CHECK (environment IN ('sandbox', 'live')),
            created_ms INTEGER NOT NULL) STRICT;
        CREATE TABLE accounts (
            id BLOB PRIMARY KEY, name TEXT NOT NULL, base_currency TEXT NOT NULL,
            role_grant_policy TEXT NOT NULL CHECK (role_grant_policy IN ('held', 'any')),
            network_fee_payer TEXT NOT NULL CHECK (network_fee_payer IN ('MERCHANT', 'RECIPIENT')),
            owner_email TEXT NOT NULL, changing BLOB,
            effect_key TEXT NOT NULL UNIQUE, first_principal_id BLOB NOT NULL, first_client_id BLOB NOT NULL,
            created_ms INTEGER NOT NULL) STRICT;
        CREATE INDEX accounts_created ON accounts (created_ms, id);
        CREATE TABLE clients (
            id BLOB PRIMARY KEY, client_id BLOB NOT NULL UNIQUE, account_id BLOB NOT NULL REFERENCES accounts (id),
            name TEXT NOT NULL, network_whitelist TEXT NOT NULL,
            public_key TEXT NOT NULL, key_algorithm TEXT NOT NULL, key_fingerprint TEXT NOT NULL,
            retiring_public_key TEXT, retiring_algorithm TEXT, retiring_fingerprint TEXT,
            retiring_not_after_ms INTEGER, credential_version INTEGER NOT NULL, changing BLOB,
            created_by BLOB, created_ms INTEGER NOT NULL, deleted_ms INTEGER,
            CHECK ((retiring_public_key IS NULL) = (retiring_not_after_ms IS NULL))) STRICT;
        CREATE INDEX clients_listed ON clients (account_id, created_ms, id) WHERE deleted_ms IS NULL;
        CREATE TABLE client_uses (
            principal_id BLOB PRIMARY KEY REFERENCES clients (id),
            first_ms INTEGER NOT NULL, first_address TEXT NOT NULL,
            last_ms INTEGER NOT NULL, last_address TEXT NOT NULL) STRICT;",
}];
