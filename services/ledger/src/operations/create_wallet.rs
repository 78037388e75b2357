//! CreateWallet: a wallet in one currency, with nothing in it: the ledger account, its balance, the event, the audit row
//! and the answer in one transaction.

use super::Operations;
use crate::domain::{LedgerAccount, Purpose};
use crate::grpc::convert;
use crate::store;
use beem_caller::Actor;
use beem_database::Tx;
use beem_database::claims::Outcome;
use beem_events::{NewEvent, append, audit};
use beem_fault::{Fault, FieldFault, Result};
use beem_ids::LedgerAccountId;
use beem_money::Currency;
use beem_proto::ledger::v1 as wire;
use beem_writes::Trail;
use prost::Message as _;
use serde_json::json;

const CREATE_WALLET: &str = "beem.ledger.v1.Wallets/CreateWallet";

/// Characters of a name at most.
const LONGEST_NAME: usize = 100;

impl Operations {
    /// Refusals: `currency-unknown`; `validation-failed` naming `name`.
    pub async fn create_wallet(&self, actor: &Actor, asked: &wire::CreateWalletRequest) -> Outcome {
        let trail = Trail { actor, action: "CreateWallet", target_type: "wallet" };
        let request = asked.encode_to_vec();
        self.write(trail, CREATE_WALLET, &request, "", |tx| Box::pin(self.open_wallet(tx, trail, asked)))
            .await
    }

    async fn open_wallet(
        &self,
        tx: &Tx<'_>,
        trail: Trail<'_>,
        asked: &wire::CreateWalletRequest,
    ) -> Result<Vec<u8>> {
        let owner = trail.actor.account;
        let (currency, name) = self.new_wallet(asked)?;
        let wallet = LedgerAccount {
            id: LedgerAccountId::draw(tx.now(), tx.entropy()),
            owner: Some(owner),
            purpose: Purpose::Wallet,
            currency: currency.code,
            network: String::new(),
            name: name.to_owned(),
            created: tx.now(),
        };
        store::accounts::open_wallet(tx, &wallet).await?;
        let (wallet, balance) = store::accounts::wallet(tx, owner, wallet.id).await?;
        let answer = convert::wallet(currency, &wallet, &balance);
        let after = json!({ "name": wallet.name, "currency": answer.currency });
        audit::record(tx, trail.row(&answer.id, "done", None, Some(after))).await?;
        let event = NewEvent {
            account_id: owner,
            event: "layer1:ledger:wallet:created".to_owned(),
            source: "ledger".to_owned(),
            entity_id: answer.id.clone(),
            data: self.0.wallet_json.of(&answer).map_err(Fault::internal)?,
        };
        append(tx, event).await?;
        Ok(answer.encode_to_vec())
    }

    /// Its currency and its name, or every field that is wrong.
    fn new_wallet<'a>(&'a self, asked: &'a wire::CreateWalletRequest) -> Result<(&'a Currency, &'a str)> {
        match (self.0.currency("currency", &asked.currency), name(&asked.name)) {
            (Ok(currency), Ok(name)) => Ok((currency, name)),
            (Err(wrong), Ok(_)) | (Ok(_), Err(wrong)) => Err(wrong),
            (Err(currency), Err(name)) => Err(Fault::fields(
                currency.fields.into_iter().chain(name.fields).collect::<Vec<FieldFault>>(),
            )),
        }
    }
}

/// For people to read: 1 to 100 characters, no unseen characters, no space at either end.
fn name(text: &str) -> Result<&str> {
    let wrong = |detail: &str| Err(Fault::field("name", detail));
    match text {
        "" => wrong("1 to 100 characters are needed"),
        long if long.chars().nth(LONGEST_NAME).is_some() => wrong("has more than 100 characters"),
        text if text.chars().any(convert::is_unseen) => wrong("has a control character"),
        text if text.trim() != text => wrong("begins or ends with a space"),
        text => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_to_a_hundred_characters_for_people() {
        for good in ["a", "Kasse 1", "ü".repeat(100).as_str(), "=SUM(A1)"] {
            assert_eq!(name(good).unwrap(), good);
        }
        for bad in ["", " a", "a ", "a\nb", "\u{7f}", "a\u{202e}b", "\u{2066}a", "ü".repeat(101).as_str()] {
            assert_eq!(name(bad).unwrap_err().fields[0].field, "name");
        }
    }
}
