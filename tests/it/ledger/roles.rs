//! Who may do what with money: looking is `ledger:viewer`'s and `ledger:operator`'s, wallets and credits are
//! `ledger:operator`'s, and converting is `conversion:operator`'s alone.

use super::books::{BALANCES, CREDITS, CURRENCIES, Purse, QUOTES, WALLETS, accept, conversion, credit, id};
use beem_roles::Role;
use beem_tests::{Client, Rig, ask, on_both_shapes};
use serde_json::{Value, json};

async fn each_role_opens_its_own_doors(rig: &Rig) {
    let purse = Purse::new(rig);
    let (usd, eur) = (purse.filled("USD", "80.00").await, purse.wallet("EUR").await);
    let one = id(&purse.quote(&usd, &eur, "1.08").await);
    let with = async |role: Role| {
        let creds = purse.0.new_client(&json!({ "roles": [role.short()] })).await;
        Client { creds, ..purse.0.clone() }
    };
    let viewer = with(Role::LedgerViewer).await;
    let operator = with(Role::LedgerOperator).await;
    let converter = with(Role::ConversionOperator).await;
    let wallet = format!("{WALLETS}/{usd}");
    let (listed, exported) = (format!("{wallet}/transactions"), format!("{wallet}/transactions/export"));
    let (quote, execute) = (format!("{QUOTES}/{one}"), accept(&one));
    let looks = [WALLETS, BALANCES, wallet.as_str(), listed.as_str(), exported.as_str()];
    for target in looks {
        for allowed in [&viewer, &operator] {
            assert_eq!(allowed.get(target).await.status, 200, "{target}");
        }
        converter.get(target).await.refused(403, "role-missing");
    }
    for allowed in [&viewer, &operator, &converter] {
        allowed.get(CURRENCIES).await.expect(200);
    }
    for (target, body) in
        [(WALLETS, json!({ "currency": "USD", "name": "x" })), (CREDITS, credit(&usd, "1.00"))]
    {
        for refused in [&viewer, &converter] {
            let problem = refused.post(target, &body).await.refused(403, "role-missing");
            assert!(problem["detail"].as_str().unwrap().contains("layer1:role:ledger:operator"), "{problem}");
        }
        operator.post(target, &body).await.expect(201);
    }
    let quoted = conversion(&usd, &eur, "1.08");
    for refused in [&viewer, &operator] {
        refused.post(QUOTES, &quoted).await.refused(403, "role-missing");
        for target in [QUOTES, quote.as_str()] {
            refused.get(target).await.refused(403, "role-missing");
        }
        ask(refused, "PUT", &execute, &Value::Null).await.refused(403, "role-missing");
    }
    converter.post(QUOTES, &quoted).await.expect(201);
    converter.get(QUOTES).await.expect(200);
    ask(&converter, "PUT", &execute, &Value::Null).await.expect(200);
    converter.get(&quote).await.expect(200);
}

on_both_shapes!(each_role_opens_its_own_doors);
