//! Wire to domain and back. Whatever is refused here names its field by JSON path.

use crate::domain::{Balance, Cause, Hold, Kind, LedgerAccount, MAX_REFERENCE, Purpose};
use crate::operations::Means;
use beem_clock::Moment;
use beem_fault::{Fault, Result};
use beem_ids::{HoldId, LedgerAccountId};
use beem_money::{Amount, Currency};
use beem_proto::ledger::v1 as wire;
use beem_proto::{from_timestamp, to_timestamp};
use beem_settings::Environment;
use prost_types::Timestamp;
use std::str::FromStr;

/// Characters of an effect key at most.
const MAX_EFFECT_KEY: usize = 200;
/// Characters of a cause's type and id at most: an effect key may be the id.
const MAX_CAUSE_TYPE: usize = 50;
const MAX_CAUSE_ID: usize = 200;

/// The one service that may say what a chain holds for us: its deposits are what clearing is debited for.
const CHAIN_SERVICE: &str = "channels";

/// System accounts that other services may name; clearing besides. What is in suspense only settlements move.
const SIDES: [Purpose; 5] =
    [Purpose::Liquidity, Purpose::Fees, Purpose::Spread, Purpose::Gas, Purpose::Rounding];

/// Kinds that public lists show.
pub const SHOWN_KINDS: [Kind; 8] = [
    Kind::Deposit,
    Kind::ConversionIn,
    Kind::ConversionOut,
    Kind::PaymentIn,
    Kind::PaymentOut,
    Kind::Fee,
    Kind::Refund,
    Kind::Adjustment,
];

/// Kinds that a transfer of another service may have: conversions are the ledger's own.
pub const TRANSFER_KINDS: [Kind; 6] =
    [Kind::Deposit, Kind::PaymentIn, Kind::PaymentOut, Kind::Fee, Kind::Refund, Kind::Adjustment];

/// Kinds that the transfer of a posted hold may have.
pub const POSTING_KINDS: [Kind; 4] = [Kind::PaymentOut, Kind::Fee, Kind::Refund, Kind::Adjustment];

/// An amount above zero.
///
/// # Errors
/// `validation-failed` naming the field, in the words of [`beem_money::AmountError`].
pub fn amount(field: &str, currency: &Currency, text: &str) -> Result<Amount> {
    currency.parse_positive(text).map_err(|wrong| Fault::field(field, wrong.to_string()))
}

/// 1 to 200 visible characters.
///
/// # Errors
/// `validation-failed` naming `effectKey`.
pub fn effect_key(text: &str) -> Result<&str> {
    visible("effectKey", text, MAX_EFFECT_KEY)
}

/// At most 200 characters, none of them unseen.
///
/// # Errors
/// `validation-failed` naming the field.
pub fn reference(field: &str, text: &str) -> Result<String> {
    if text.chars().nth(MAX_REFERENCE).is_some() {
        return Err(Fault::field(field, format!("at most {MAX_REFERENCE} characters")));
    }
    if text.chars().any(is_unseen) {
        return Err(Fault::field(field, "without control characters"));
    }
    Ok(text.to_owned())
}

/// A control character, or one of those that turn the direction of the text around them: with these a reference or a name
/// could be made to read as another one than it is.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || c.is_control()
}

/// What made it; never absent.
///
/// # Errors
/// `validation-failed` naming the field, its `type` or its `id`.
pub fn cause(field: &str, asked: Option<&wire::Cause>) -> Result<Cause> {
    let asked = asked.ok_or_else(|| Fault::field(field, "is missing"))?;
    let kind = visible(&format!("{field}.type"), &asked.r#type, MAX_CAUSE_TYPE)?;
    let id = visible(&format!("{field}.id"), &asked.id, MAX_CAUSE_ID)?;
    Ok(Cause { kind: kind.to_owned(), id: id.to_owned() })
}

/// An id of whatever type.
///
/// # Errors
/// `validation-failed` naming the field.
pub fn id<T: FromStr>(field: &str, text: &str) -> Result<T> {
    text.parse().map_err(|_| Fault::field(field, "a UUID"))
}

/// The id of a wallet.
///
/// # Errors
/// `not-found` for what is no id: no wallet has it.
pub fn wallet_id(text: &str) -> Result<LedgerAccountId> {
    text.parse().map_err(|_| Fault::not_found("wallet"))
}

/// The id of a hold.
///
/// # Errors
/// `not-found` for what is no id: no hold has it.
pub fn hold_id(text: &str) -> Result<HoldId> {
    text.parse().map_err(|_| Fault::not_found("hold"))
}

/// A kind, one of those that may stand here.
///
/// # Errors
/// `validation-failed` naming the field.
pub fn kind(field: &str, text: &str, allowed: &[Kind]) -> Result<Kind> {
    allowed.iter().copied().find(|kind| kind.as_str() == text).ok_or_else(|| {
        let names: Vec<_> = allowed.iter().map(|kind| kind.as_str()).collect();
        Fault::field(field, format!("one of {}", names.join(", ")))
    })
}

/// Where a transfer of another service comes from: as [`side`], but clearing only for the service that knows the chains.
/// Anybody else would make money of nothing by it.
///
/// # Errors
/// As [`side`]; `validation-failed` naming the field's `system` for another service's clearing.
pub fn debit(
    means: &Means,
    field: &str,
    currency: &Currency,
    service: &str,
    asked: Option<&wire::Side>,
) -> Result<LedgerAccountId> {
    let clearing = asked.is_some_and(|side| side.system == Purpose::Clearing.as_str());
    if clearing && service != CHAIN_SERVICE {
        return Err(Fault::field(
            format!("{field}.system"),
            format!("CLEARING is debited by {CHAIN_SERVICE} only"),
        ));
    }
    side(means, field, currency, asked)
}

/// One side of a transfer in a currency: a wallet, or a system account but those of the sandbox and of deposits in suspense.
/// Whose the wallet is, and in which currency, the book decides.
///
/// # Errors
/// `validation-failed` naming the field; `not-found` for a wallet's id that is none.
pub fn side(
    means: &Means,
    field: &str,
    currency: &Currency,
    asked: Option<&wire::Side>,
) -> Result<LedgerAccountId> {
    let asked = asked.ok_or_else(|| Fault::field(field, "is missing"))?;
    match (asked.wallet_id.as_str(), asked.system.as_str()) {
        ("", "") => Err(Fault::field(field, "a wallet or a system account")),
        (wallet, "") if asked.network.is_empty() => wallet_id(wallet),
        ("", "CLEARING") => {
            network(means, &format!("{field}.network"), currency, &asked.network)?;
            Ok(Purpose::Clearing.id(currency.code, &asked.network))
        }
        (_, _) if !asked.network.is_empty() => {
            Err(Fault::field(format!("{field}.network"), "only beside CLEARING"))
        }
        ("", system) => {
            let purpose = SIDES.into_iter().find(|purpose| purpose.as_str() == system);
            let purpose = purpose.ok_or_else(|| {
                let names = SIDES.map(Purpose::as_str).join(", ");
                Fault::field(format!("{field}.system"), format!("one of CLEARING, {names}"))
            })?;
            Ok(purpose.id(currency.code, ""))
        }
        (_, _) => Err(Fault::field(field, "a wallet or a system account, not both")),
    }
}

/// A network that the currency has here.
///
/// # Errors
/// `validation-failed` naming the field.
pub fn network(means: &Means, field: &str, currency: &Currency, name: &str) -> Result<()> {
    let sandbox = means.environment == Environment::Sandbox;
    let found = currency.networks.iter().any(|network| network.name == name && (sandbox || !network.sandbox));
    if found { Ok(()) } else { Err(Fault::field(field, format!("a network of {}", currency.code))) }
}

/// When, to the millisecond.
#[must_use]
pub fn timestamp(at: Moment) -> Timestamp {
    to_timestamp(at.unix_ms())
}

/// When, if it was said.
#[must_use]
pub fn moment(at: Option<&Timestamp>) -> Option<Moment> {
    at.map(|at| Moment::from_unix_ms(from_timestamp(at)))
}

/// An amount with its currency.
#[must_use]
pub fn money(currency: &Currency, amount: Amount) -> wire::Money {
    wire::Money { currency: currency.code.to_string(), amount: currency.format(amount) }
}

/// A balance; what is available is never told below zero.
#[must_use]
pub fn balance(currency: &Currency, balance: &Balance) -> wire::Balance {
    wire::Balance {
        total: currency.format(balance.total),
        available: currency.format(balance.available().unwrap_or_default()),
        reserved: currency.format(balance.reserved),
    }
}

/// A wallet with its balance.
#[must_use]
pub fn wallet(currency: &Currency, wallet: &LedgerAccount, now: &Balance) -> wire::Wallet {
    wire::Wallet {
        id: wallet.id.to_string(),
        account_id: wallet.owner.map(|owner| owner.to_string()).unwrap_or_default(),
        currency: wallet.currency.to_string(),
        name: wallet.name.clone(),
        balance: Some(balance(currency, now)),
        date_created: Some(timestamp(wallet.created)),
    }
}

/// A hold.
#[must_use]
pub fn hold(currency: &Currency, hold: &Hold) -> wire::Hold {
    wire::Hold {
        id: hold.new.id.to_string(),
        wallet_id: hold.new.account.to_string(),
        currency: hold.currency.to_string(),
        amount: currency.format(hold.new.amount),
        state: hold.state.as_str().to_owned(),
        posted: currency.format(hold.posted),
        expires_at: hold.new.expires.map(timestamp),
    }
}

fn visible<'t>(field: &str, text: &'t str, most: usize) -> Result<&'t str> {
    let fits = !text.is_empty() && text.chars().nth(most).is_none();
    if fits && !text.chars().any(|c| is_unseen(c) || c.is_whitespace()) {
        return Ok(text);
    }
    Err(Fault::field(field, format!("1 to {most} visible characters")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effect_keys_are_visible_and_bounded() {
        assert!(effect_key("deposit:eth:0xab:3").is_ok());
        assert!(effect_key(&"ü".repeat(200)).is_ok());
        for wrong in ["", " ", "a b", "a\nb", "a\u{202e}b", &"x".repeat(201)] {
            let fault = effect_key(wrong).unwrap_err();
            assert_eq!(fault.fields[0].field, "effectKey", "{wrong:?}");
        }
    }

    #[test]
    fn references_are_bounded_and_hold_no_control_characters() {
        assert_eq!(reference("reference", "").unwrap(), "");
        assert!(reference("reference", &"ü".repeat(200)).is_ok());
        assert!(reference("reference", &"x".repeat(201)).is_err());
        for c in "\t\u{7f}\u{85}\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}".chars() {
            let fault = reference("reference", &format!("a{c}b")).unwrap_err();
            assert_eq!(fault.fields[0].field, "reference", "{c:?}");
        }
        assert!(reference("reference", "للفاتورة 7 – חשבונית \u{200d}").is_ok());
    }

    #[test]
    fn a_cause_is_never_absent_or_empty() {
        let of = |kind: &str, id: &str| wire::Cause { r#type: kind.into(), id: id.into() };
        assert!(cause("cause", Some(&of("payment", "7"))).is_ok());
        assert_eq!(cause("cause", None).unwrap_err().fields[0].field, "cause");
        assert_eq!(cause("cause", Some(&of("", "7"))).unwrap_err().fields[0].field, "cause.type");
        assert_eq!(cause("cause", Some(&of("x", ""))).unwrap_err().fields[0].field, "cause.id");
        assert_eq!(cause("cause", Some(&of("x", "a\u{2067}"))).unwrap_err().fields[0].field, "cause.id");
        assert_eq!(cause("cause", Some(&of("\u{200f}x", "a"))).unwrap_err().fields[0].field, "cause.type");
    }
}
