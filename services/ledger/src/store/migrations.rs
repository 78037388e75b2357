//! The schema, by hand for each back end. Amounts are minor units of their row's currency: `NUMERIC(39,0)` on PostgreSQL,
//! `TEXT` on SQLite, which would read a number through a float; both are bound and read as text.

use beem_database::Migration;

/// Our own tables; those of claims and of events come before them.
pub const MIGRATIONS: &[Migration] = &[BOOKS, CONVERSION, CHAINS];

/// `entries` is ordered by time, which never goes back in an account, so that lists, balances at a time and exports are one
/// range of its key. That two processes never give one number twice is held by the update of `balances`, which names the
/// number it read. Little room is left in the pages of `balances`, so that an update stays in its page.
const BOOKS: Migration = Migration {
    name: "ledger-1",
    postgres: "
        CREATE TABLE installation (
            one_row BIGINT PRIMARY KEY CHECK (one_row = 1), environment TEXT NOT NULL, created_ms BIGINT NOT NULL);
        CREATE TABLE ledger_accounts (
            id UUID PRIMARY KEY, owner UUID, purpose TEXT NOT NULL, currency TEXT NOT NULL, network TEXT NOT NULL,
            name TEXT NOT NULL, created_ms BIGINT NOT NULL,
            CHECK ((purpose = 'WALLET') = (owner IS NOT NULL)));
        CREATE INDEX ledger_accounts_owner ON ledger_accounts (owner, created_ms, id) WHERE owner IS NOT NULL;
        CREATE TABLE balances (
            ledger_account_id UUID PRIMARY KEY REFERENCES ledger_accounts (id),
            owner UUID, currency TEXT NOT NULL,
            total NUMERIC(39,0) NOT NULL, reserved NUMERIC(39,0) NOT NULL CHECK (reserved >= 0),
            floor NUMERIC(39,0),
            sequence BIGINT NOT NULL CHECK (sequence >= 0), hash BYTEA NOT NULL, time_ms BIGINT NOT NULL,
            CONSTRAINT balances_floor CHECK (floor IS NULL OR total - reserved >= floor),
            CONSTRAINT balances_wallet CHECK (owner IS NULL OR (floor IS NOT NULL AND floor = 0))) WITH (fillfactor = 50);
        CREATE TABLE transfers (
            id UUID PRIMARY KEY, effect_key TEXT NOT NULL,
            debit_id UUID NOT NULL, debit_sequence BIGINT NOT NULL,
            credit_id UUID NOT NULL, credit_sequence BIGINT NOT NULL,
            currency TEXT NOT NULL, amount NUMERIC(39,0) NOT NULL CHECK (amount > 0), kind TEXT NOT NULL,
            reference TEXT NOT NULL, cause_type TEXT NOT NULL, cause_id TEXT NOT NULL,
            counter_currency TEXT, counter_amount NUMERIC(39,0), rate TEXT,
            time_ms BIGINT NOT NULL,
            CHECK (debit_id <> credit_id));
        CREATE TABLE entries (
            ledger_account_id UUID NOT NULL, time_ms BIGINT NOT NULL, sequence BIGINT NOT NULL,
            kind TEXT NOT NULL, subject_id UUID NOT NULL,
            amount NUMERIC(39,0) NOT NULL, reserved_change NUMERIC(39,0) NOT NULL,
            total NUMERIC(39,0) NOT NULL, reserved NUMERIC(39,0) NOT NULL,
            hash BYTEA NOT NULL,
            PRIMARY KEY (ledger_account_id, time_ms, sequence));
        CREATE TABLE holds (
            id UUID PRIMARY KEY, effect_key TEXT NOT NULL,
            ledger_account_id UUID NOT NULL REFERENCES ledger_accounts (id), owner UUID NOT NULL,
            currency TEXT NOT NULL, amount NUMERIC(39,0) NOT NULL CHECK (amount > 0),
            reference TEXT NOT NULL, cause_type TEXT NOT NULL, cause_id TEXT NOT NULL,
            created_ms BIGINT NOT NULL, created_sequence BIGINT NOT NULL, expires_ms BIGINT,
            state TEXT NOT NULL CHECK (state IN ('ACTIVE', 'POSTED', 'VOIDED', 'EXPIRED')),
            posted NUMERIC(39,0) NOT NULL CHECK (posted BETWEEN 0 AND amount),
            ended_ms BIGINT, ended_sequence BIGINT,
            CHECK ((state = 'ACTIVE') = (ended_ms IS NULL)), CHECK ((state = 'POSTED') = (posted > 0)));
        CREATE INDEX holds_active ON holds (ledger_account_id) WHERE state = 'ACTIVE';
        CREATE INDEX holds_expiring ON holds (expires_ms) WHERE state = 'ACTIVE' AND expires_ms IS NOT NULL;
        CREATE TABLE heads (
            number BIGINT PRIMARY KEY, time_ms BIGINT NOT NULL, digest BYTEA NOT NULL, signature BYTEA NOT NULL);
        CREATE TABLE head_entries (
            number BIGINT NOT NULL REFERENCES heads (number), ledger_account_id UUID NOT NULL,
            time_ms BIGINT NOT NULL, sequence BIGINT NOT NULL, hash BYTEA NOT NULL,
            PRIMARY KEY (number, ledger_account_id));
        CREATE INDEX head_entries_account ON head_entries (ledger_account_id, sequence);",
    sqlite: "
        CREATE TABLE installation (
            one_row INTEGER PRIMARY KEY CHECK (one_row = 1), environment TEXT NOT NULL, created_ms INTEGER NOT NULL) STRICT;
        CREATE TABLE ledger_accounts (
            id BLOB PRIMARY KEY, owner BLOB, purpose TEXT NOT NULL, currency TEXT NOT NULL, network TEXT NOT NULL,
            name TEXT NOT NULL, created_ms INTEGER NOT NULL,
            CHECK ((purpose = 'WALLET') = (owner IS NOT NULL))) STRICT;
        CREATE INDEX ledger_accounts_owner ON ledger_accounts (owner, created_ms, id) WHERE owner IS NOT NULL;
        CREATE TABLE balances (
            ledger_account_id BLOB PRIMARY KEY REFERENCES ledger_accounts (id),
            owner BLOB, currency TEXT NOT NULL,
            total TEXT NOT NULL, reserved TEXT NOT NULL,
            floor TEXT,
            sequence INTEGER NOT NULL CHECK (sequence >= 0), hash BLOB NOT NULL, time_ms INTEGER NOT NULL,
            CONSTRAINT balances_wallet CHECK (owner IS NULL OR (floor IS NOT NULL AND floor = '0'))) STRICT, WITHOUT ROWID;
        CREATE TABLE transfers (
            id BLOB PRIMARY KEY, effect_key TEXT NOT NULL,
            debit_id BLOB NOT NULL, debit_sequence INTEGER NOT NULL,
            credit_id BLOB NOT NULL, credit_sequence INTEGER NOT NULL,
            currency TEXT NOT NULL, amount TEXT NOT NULL, kind TEXT NOT NULL,
            reference TEXT NOT NULL, cause_type TEXT NOT NULL, cause_id TEXT NOT NULL,
            counter_currency TEXT, counter_amount TEXT, rate TEXT,
            time_ms INTEGER NOT NULL,
            CHECK (debit_id <> credit_id)) STRICT, WITHOUT ROWID;
        CREATE TABLE entries (
            ledger_account_id BLOB NOT NULL, time_ms INTEGER NOT NULL, sequence INTEGER NOT NULL,
            kind TEXT NOT NULL, subject_id BLOB NOT NULL,
            amount TEXT NOT NULL, reserved_change TEXT NOT NULL,
            total TEXT NOT NULL, reserved TEXT NOT NULL,
            hash BLOB NOT NULL,
            PRIMARY KEY (ledger_account_id, time_ms, sequence)) STRICT, WITHOUT ROWID;
        CREATE TABLE holds (
            id BLOB PRIMARY KEY, effect_key TEXT NOT NULL,
            ledger_account_id BLOB NOT NULL REFERENCES ledger_accounts (id), owner BLOB NOT NULL,
            currency TEXT NOT NULL, amount TEXT NOT NULL,
            reference TEXT NOT NULL, cause_type TEXT NOT NULL, cause_id TEXT NOT NULL,
            created_ms INTEGER NOT NULL, created_sequence INTEGER NOT NULL, expires_ms INTEGER,
            state TEXT NOT NULL CHECK (state IN ('ACTIVE', 'POSTED', 'VOIDED', 'EXPIRED')),
            posted TEXT NOT NULL,
            ended_ms INTEGER, ended_sequence INTEGER,
            CHECK ((state = 'ACTIVE') = (ended_ms IS NULL)), CHECK ((state = 'POSTED') = (posted <> '0'))) STRICT;
        CREATE INDEX holds_active ON holds (ledger_account_id) WHERE state = 'ACTIVE';
        CREATE INDEX holds_expiring ON holds (expires_ms) WHERE state = 'ACTIVE' AND expires_ms IS NOT NULL;
        CREATE TABLE heads (
            number INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, digest BLOB NOT NULL, signature BLOB NOT NULL) STRICT;
        CREATE TABLE head_entries (
            number INTEGER NOT NULL REFERENCES heads (number), ledger_account_id BLOB NOT NULL,
            time_ms INTEGER NOT NULL, sequence INTEGER NOT NULL, hash BLOB NOT NULL,
            PRIMARY KEY (number, ledger_account_id)) STRICT, WITHOUT ROWID;
        CREATE INDEX head_entries_account ON head_entries (ledger_account_id, sequence);",
};

/// `digest` is over the row as it was written: a row changed by hand is found before it is used, and by verification.
const CONVERSION: Migration = Migration {
    name: "ledger-2",
    postgres: "
        CREATE TABLE quotes (
            id UUID PRIMARY KEY, owner UUID NOT NULL, from_id UUID NOT NULL, to_id UUID NOT NULL,
            currency_in TEXT NOT NULL, amount_in NUMERIC(39,0) NOT NULL, fee NUMERIC(39,0) NOT NULL,
            currency_out TEXT NOT NULL, amount_out NUMERIC(39,0) NOT NULL, spread NUMERIC(39,0) NOT NULL,
            remainder NUMERIC(39,0) NOT NULL, rate TEXT NOT NULL, mid TEXT NOT NULL,
            reference TEXT NOT NULL, created_by UUID NOT NULL, created_ms BIGINT NOT NULL, expires_ms BIGINT NOT NULL,
            digest BYTEA NOT NULL,
            executed_ms BIGINT, debit_transfer UUID, credit_transfer UUID,
            CHECK ((executed_ms IS NULL) = (debit_transfer IS NULL)),
            CHECK ((executed_ms IS NULL) = (credit_transfer IS NULL)));
        CREATE INDEX quotes_owner ON quotes (owner, created_ms, id);
        CREATE INDEX quotes_unused ON quotes (expires_ms) WHERE executed_ms IS NULL;
        CREATE UNIQUE INDEX quotes_debit ON quotes (debit_transfer);
        CREATE UNIQUE INDEX quotes_credit ON quotes (credit_transfer);
        CREATE TABLE rate_locks (
            id UUID PRIMARY KEY, from_currency TEXT NOT NULL, to_currency TEXT NOT NULL,
            side TEXT NOT NULL CHECK (side IN ('SELL', 'BUY')), mid TEXT NOT NULL, spread_millionths BIGINT NOT NULL,
            created_ms BIGINT NOT NULL, expires_ms BIGINT NOT NULL, digest BYTEA NOT NULL);
        CREATE INDEX rate_locks_expired ON rate_locks (expires_ms);",
    sqlite: "
        CREATE TABLE quotes (
            id BLOB PRIMARY KEY, owner BLOB NOT NULL, from_id BLOB NOT NULL, to_id BLOB NOT NULL,
            currency_in TEXT NOT NULL, amount_in TEXT NOT NULL, fee TEXT NOT NULL,
            currency_out TEXT NOT NULL, amount_out TEXT NOT NULL, spread TEXT NOT NULL,
            remainder TEXT NOT NULL, rate TEXT NOT NULL, mid TEXT NOT NULL,
            reference TEXT NOT NULL, created_by BLOB NOT NULL, created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,
            digest BLOB NOT NULL,
            executed_ms INTEGER, debit_transfer BLOB, credit_transfer BLOB,
            CHECK ((executed_ms IS NULL) = (debit_transfer IS NULL)),
            CHECK ((executed_ms IS NULL) = (credit_transfer IS NULL))) STRICT;
        CREATE INDEX quotes_owner ON quotes (owner, created_ms, id);
        CREATE INDEX quotes_unused ON quotes (expires_ms) WHERE executed_ms IS NULL;
        CREATE UNIQUE INDEX quotes_debit ON quotes (debit_transfer);
        CREATE UNIQUE INDEX quotes_credit ON quotes (credit_transfer);
        CREATE TABLE rate_locks (
            id BLOB PRIMARY KEY, from_currency TEXT NOT NULL, to_currency TEXT NOT NULL,
            side TEXT NOT NULL CHECK (side IN ('SELL', 'BUY')), mid TEXT NOT NULL, spread_millionths INTEGER NOT NULL,
            created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, digest BLOB NOT NULL) STRICT;
        CREATE INDEX rate_locks_expired ON rate_locks (expires_ms);",
};

/// Money from chains and to them. `outbounds` is what its hold was placed for. A settlement keeps what its rate lock promised,
/// because locks are forgotten.
const CHAINS: Migration = Migration {
    name: "ledger-3",
    postgres: "
        CREATE TABLE settlements (
            id UUID PRIMARY KEY, effect_key TEXT NOT NULL UNIQUE, owner UUID NOT NULL, wallet_id UUID NOT NULL,
            wallet_currency TEXT NOT NULL, network TEXT NOT NULL,
            currency TEXT NOT NULL, amount NUMERIC(39,0) NOT NULL CHECK (amount > 0),
            kind TEXT NOT NULL, reference TEXT NOT NULL, cause_type TEXT NOT NULL, cause_id TEXT NOT NULL,
            rate_lock_id UUID, lock_mid TEXT, lock_spread_millionths BIGINT, suspense_transfer UUID NOT NULL,
            created_ms BIGINT NOT NULL, digest BYTEA NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('SUSPENDED', 'SETTLED')), reason TEXT NOT NULL,
            credited NUMERIC(39,0), rate TEXT, credit_transfer UUID, settled_ms BIGINT,
            CHECK ((state = 'SETTLED') = (credit_transfer IS NOT NULL)));
        CREATE INDEX settlements_suspended ON settlements (created_ms, id) WHERE state = 'SUSPENDED';
        CREATE UNIQUE INDEX settlements_suspense ON settlements (suspense_transfer);
        CREATE UNIQUE INDEX settlements_credit ON settlements (credit_transfer);
        CREATE TABLE outbounds (
            hold_id UUID PRIMARY KEY REFERENCES holds (id), owner UUID NOT NULL, wallet_id UUID NOT NULL,
            network TEXT NOT NULL, wallet_currency TEXT NOT NULL, wallet_amount NUMERIC(39,0) NOT NULL,
            pay_currency TEXT NOT NULL, pay_amount NUMERIC(39,0) NOT NULL,
            fee_currency TEXT NOT NULL, fee_cap NUMERIC(39,0) NOT NULL,
            fee_payer TEXT NOT NULL CHECK (fee_payer IN ('MERCHANT', 'RECIPIENT')),
            plan TEXT NOT NULL, base_currency TEXT NOT NULL, base_amount NUMERIC(39,0) NOT NULL,
            created_ms BIGINT NOT NULL, digest BYTEA NOT NULL,
            fee NUMERIC(39,0), debited NUMERIC(39,0), posted_ms BIGINT);",
    sqlite: "
        CREATE TABLE settlements (
            id BLOB PRIMARY KEY, effect_key TEXT NOT NULL UNIQUE, owner BLOB NOT NULL, wallet_id BLOB NOT NULL,
            wallet_currency TEXT NOT NULL, network TEXT NOT NULL,
            currency TEXT NOT NULL, amount TEXT NOT NULL,
            kind TEXT NOT NULL, reference TEXT NOT NULL, cause_type TEXT NOT NULL, cause_id TEXT NOT NULL,
            rate_lock_id BLOB, lock_mid TEXT, lock_spread_millionths INTEGER, suspense_transfer BLOB NOT NULL,
            created_ms INTEGER NOT NULL, digest BLOB NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('SUSPENDED', 'SETTLED')), reason TEXT NOT NULL,
            credited TEXT, rate TEXT, credit_transfer BLOB, settled_ms INTEGER,
            CHECK ((state = 'SETTLED') = (credit_transfer IS NOT NULL))) STRICT;
        CREATE INDEX settlements_suspended ON settlements (created_ms, id) WHERE state = 'SUSPENDED';
        CREATE UNIQUE INDEX settlements_suspense ON settlements (suspense_transfer);
        CREATE UNIQUE INDEX settlements_credit ON settlements (credit_transfer);
        CREATE TABLE outbounds (
            hold_id BLOB PRIMARY KEY REFERENCES holds (id), owner BLOB NOT NULL, wallet_id BLOB NOT NULL,
            network TEXT NOT NULL, wallet_currency TEXT NOT NULL, wallet_amount TEXT NOT NULL,
            pay_currency TEXT NOT NULL, pay_amount TEXT NOT NULL,
            fee_currency TEXT NOT NULL, fee_cap TEXT NOT NULL,
            fee_payer TEXT NOT NULL CHECK (fee_payer IN ('MERCHANT', 'RECIPIENT')),
            plan TEXT NOT NULL, base_currency TEXT NOT NULL, base_amount TEXT NOT NULL,
            created_ms INTEGER NOT NULL, digest BLOB NOT NULL,
            fee TEXT, debited TEXT, posted_ms INTEGER) STRICT;",
};
