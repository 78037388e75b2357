//! The schema, per back end. A text never changes once released.

use beem_database::Migration;

/// Identity's own tables, after those of the crates it builds on.
pub const MIGRATIONS: &[Migration] = &[ACCOUNTS_AND_CLIENTS, PEOPLE];

const ACCOUNTS_AND_CLIENTS: Migration = Migration {
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
};

/// A user is reserved (`made` is false, nobody sees it) while its standing is made in authz. Tokens are kept as SHA-256, a
/// TOTP key sealed. `links` has one live link of a purpose for a user; a link or challenge that was used is gone.
const PEOPLE: Migration = Migration {
    name: "identity-2",
    postgres: "
        CREATE TABLE users (
            id UUID PRIMARY KEY, account_id UUID NOT NULL REFERENCES accounts (id),
            email TEXT NOT NULL, email_folded TEXT NOT NULL,
            first_name TEXT NOT NULL, last_name TEXT NOT NULL, network_whitelist TEXT NOT NULL,
            made BOOLEAN NOT NULL, password_hash TEXT, totp BYTEA, totp_step BIGINT NOT NULL,
            credential_version BIGINT NOT NULL, noted_version BIGINT NOT NULL DEFAULT 0, changing UUID,
            created_by UUID, created_ms BIGINT NOT NULL, activated_ms BIGINT, deleted_ms BIGINT,
            signed_in_ms BIGINT, signed_in_address TEXT,
            CHECK ((password_hash IS NULL) = (totp IS NULL)));
        CREATE UNIQUE INDEX users_email ON users (account_id, email_folded) WHERE deleted_ms IS NULL;
        CREATE INDEX users_sign_in ON users (email_folded) WHERE deleted_ms IS NULL;
        CREATE INDEX users_listed ON users (account_id, created_ms, id) WHERE deleted_ms IS NULL AND made;
        ALTER TABLE accounts ADD COLUMN owner_id UUID;
        ALTER TABLE installation ADD COLUMN sealing_key TEXT;
        CREATE TABLE links (
            token_hash BYTEA PRIMARY KEY, user_id UUID NOT NULL REFERENCES users (id),
            purpose TEXT NOT NULL CHECK (purpose IN ('ACTIVATION', 'RESET', 'RENEWAL')),
            created_ms BIGINT NOT NULL, expires_ms BIGINT NOT NULL,
            password_hash TEXT, totp BYTEA, session_id UUID,
            UNIQUE (user_id, purpose));
        CREATE INDEX links_expired ON links (expires_ms);
        CREATE TABLE recovery_codes (
            user_id UUID NOT NULL REFERENCES users (id), code_hash BYTEA NOT NULL,
            PRIMARY KEY (user_id, code_hash));
        CREATE TABLE challenges (
            token_hash BYTEA PRIMARY KEY, user_id UUID NOT NULL REFERENCES users (id),
            address TEXT NOT NULL, known BOOLEAN NOT NULL,
            created_ms BIGINT NOT NULL, expires_ms BIGINT NOT NULL, failures BIGINT NOT NULL);
        CREATE INDEX challenges_expired ON challenges (expires_ms);
        CREATE TABLE sessions (
            id UUID PRIMARY KEY, token_hash BYTEA NOT NULL UNIQUE,
            user_id UUID NOT NULL REFERENCES users (id), account_id UUID NOT NULL,
            created_ms BIGINT NOT NULL, expires_ms BIGINT NOT NULL, used_ms BIGINT NOT NULL,
            address TEXT NOT NULL, user_agent TEXT NOT NULL, ended_ms BIGINT);
        CREATE INDEX sessions_listed ON sessions (user_id, created_ms, id) WHERE ended_ms IS NULL;
        CREATE INDEX sessions_expired ON sessions (expires_ms);
        CREATE TABLE attempts (
            key BYTEA PRIMARY KEY, failures BIGINT NOT NULL, next_ms BIGINT NOT NULL, updated_ms BIGINT NOT NULL);
        CREATE INDEX attempts_old ON attempts (updated_ms);
        CREATE TABLE known_places (
            user_id UUID NOT NULL REFERENCES users (id), place TEXT NOT NULL, used_ms BIGINT NOT NULL,
            PRIMARY KEY (user_id, place));
        CREATE INDEX known_places_old ON known_places (used_ms);
        CREATE TABLE reset_requests (
            id UUID PRIMARY KEY, email_folded TEXT NOT NULL, address TEXT NOT NULL, request_id TEXT NOT NULL,
            created_ms BIGINT NOT NULL, next_ms BIGINT NOT NULL);
        CREATE INDEX reset_requests_next ON reset_requests (next_ms, id);",
    sqlite: "
        CREATE TABLE users (
            id BLOB PRIMARY KEY, account_id BLOB NOT NULL REFERENCES accounts (id),
            email TEXT NOT NULL, email_folded TEXT NOT NULL,
            first_name TEXT NOT NULL, last_name TEXT NOT NULL, network_whitelist TEXT NOT NULL,
            made INTEGER NOT NULL, password_hash TEXT, totp BLOB, totp_step INTEGER NOT NULL,
            credential_version INTEGER NOT NULL, noted_version INTEGER NOT NULL DEFAULT 0, changing BLOB,
            created_by BLOB, created_ms INTEGER NOT NULL, activated_ms INTEGER, deleted_ms INTEGER,
            signed_in_ms INTEGER, signed_in_address TEXT,
            CHECK ((password_hash IS NULL) = (totp IS NULL))) STRICT;
        CREATE UNIQUE INDEX users_email ON users (account_id, email_folded) WHERE deleted_ms IS NULL;
        CREATE INDEX users_sign_in ON users (email_folded) WHERE deleted_ms IS NULL;
        CREATE INDEX users_listed ON users (account_id, created_ms, id) WHERE deleted_ms IS NULL AND made;
        ALTER TABLE accounts ADD COLUMN owner_id BLOB;
        ALTER TABLE installation ADD COLUMN sealing_key TEXT;
        CREATE TABLE links (
            token_hash BLOB PRIMARY KEY, user_id BLOB NOT NULL REFERENCES users (id),
            purpose TEXT NOT NULL CHECK (purpose IN ('ACTIVATION', 'RESET', 'RENEWAL')),
            created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,
            password_hash TEXT, totp BLOB, session_id BLOB,
            UNIQUE (user_id, purpose)) STRICT;
        CREATE INDEX links_expired ON links (expires_ms);
        CREATE TABLE recovery_codes (
            user_id BLOB NOT NULL REFERENCES users (id), code_hash BLOB NOT NULL,
            PRIMARY KEY (user_id, code_hash)) STRICT;
        CREATE TABLE challenges (
            token_hash BLOB PRIMARY KEY, user_id BLOB NOT NULL REFERENCES users (id),
            address TEXT NOT NULL, known INTEGER NOT NULL,
            created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, failures INTEGER NOT NULL) STRICT;
        CREATE INDEX challenges_expired ON challenges (expires_ms);
        CREATE TABLE sessions (
            id BLOB PRIMARY KEY, token_hash BLOB NOT NULL UNIQUE,
            user_id BLOB NOT NULL REFERENCES users (id), account_id BLOB NOT NULL,
            created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL,
            address TEXT NOT NULL, user_agent TEXT NOT NULL, ended_ms INTEGER) STRICT;
        CREATE INDEX sessions_listed ON sessions (user_id, created_ms, id) WHERE ended_ms IS NULL;
        CREATE INDEX sessions_expired ON sessions (expires_ms);
        CREATE TABLE attempts (
            key BLOB PRIMARY KEY, failures INTEGER NOT NULL, next_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL) STRICT;
        CREATE INDEX attempts_old ON attempts (updated_ms);
        CREATE TABLE known_places (
            user_id BLOB NOT NULL REFERENCES users (id), place TEXT NOT NULL, used_ms INTEGER NOT NULL,
            PRIMARY KEY (user_id, place)) STRICT;
        CREATE INDEX known_places_old ON known_places (used_ms);
        CREATE TABLE reset_requests (
            id BLOB PRIMARY KEY, email_folded TEXT NOT NULL, address TEXT NOT NULL, request_id TEXT NOT NULL,
            created_ms INTEGER NOT NULL, next_ms INTEGER NOT NULL) STRICT;
        CREATE INDEX reset_requests_next ON reset_requests (next_ms, id);",
};
