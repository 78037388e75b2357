//! Rows taken out, put in, cut off and swapped; and what a verification is not asked.

use super::*;

crate::on_both!(
    a_removed_entry,
    a_removed_newest_entry,
    two_entries_swapped,
    a_forged_entry,
    the_newest_entries_of_an_account_cut_with_its_balance_put_back,
    the_newest_transfer_cut_as_if_it_had_never_been,
    money_from_nowhere,
    a_removed_transfer,
    bad_requests_are_refused,
);

async fn a_removed_entry(rig: Rig) {
    let books = Books::written(rig).await;
    for sequence in [3, 5] {
        let sql = format!("DELETE FROM entries WHERE ledger_account_id = $1 AND sequence = {sequence}");
        books.rig.tamper_with(books.wallet, &sql).await;
        assert_eq!(books.rig.found(&[]).await, [at(books.wallet, 3, "removed")], "the first of the account");
    }
    // Beside it, in another account.
    let sql = "DELETE FROM entries WHERE ledger_account_id = $1 AND sequence = 1";
    books.rig.tamper_with(books.other, sql).await;
    let mut expected = vec![at(books.wallet, 3, "removed"), at(books.other, 1, "removed")];
    expected.sort();
    let mut found = books.rig.found(&[]).await;
    found.sort();
    assert_eq!(found, expected);
}

async fn a_removed_newest_entry(rig: Rig) {
    let books = Books::written(rig).await;
    let newest = books.end_of(books.wallet).await;
    for sequence in [newest, newest - 1] {
        let sql = format!("DELETE FROM entries WHERE ledger_account_id = $1 AND sequence = {sequence}");
        books.rig.tamper_with(books.wallet, &sql).await;
        assert_eq!(books.rig.found(&[]).await, [at(books.wallet, sequence, "cut")]);
    }
}

async fn two_entries_swapped(rig: Rig) {
    let books = Books::written(rig).await;
    for sql in [
        "sequence = 1000 WHERE sequence = 3",
        "sequence = 3 WHERE sequence = 4",
        "sequence = 4 WHERE sequence = 1000",
    ] {
        let sql = format!("UPDATE entries SET {sql} AND ledger_account_id = $1");
        books.rig.tamper_with(books.wallet, &sql).await;
    }
    assert_eq!(books.rig.found(&[]).await, [at(books.wallet, 3, "changed")]);
}

async fn a_forged_entry(rig: Rig) {
    let books = Books::written(rig).await;
    let columns = "kind, subject_id, amount, reserved_change, total, reserved, hash";
    let newest = books.end_of(books.wallet).await;
    for (sequence, of, time) in [(newest + 1, newest, 1), (3, 3, 1), (3, 2, -1), (3, 4, 5)] {
        let sql = format!(
            "INSERT INTO entries (ledger_account_id, time_ms, sequence, {columns})
             SELECT ledger_account_id, (SELECT time_ms FROM entries WHERE ledger_account_id = $1 AND sequence = {of}) + {time},
                 {sequence}, {columns} FROM entries WHERE ledger_account_id = $1 AND sequence = {of}"
        );
        books.rig.tamper("CREATE TABLE kept AS SELECT * FROM entries").await;
        books.rig.tamper_with(books.wallet, &sql).await;
        assert_eq!(books.rig.found(&[]).await, [at(books.wallet, sequence, "inserted")], "{of} {time}");
        books.rig.tamper("DELETE FROM entries").await;
        books.rig.tamper("INSERT INTO entries SELECT * FROM kept").await;
        books.rig.tamper("DROP TABLE kept").await;
    }
}

async fn the_newest_entries_of_an_account_cut_with_its_balance_put_back(rig: Rig) {
    let books = Books::written(rig).await;
    let newest = books.end_of(books.wallet).await;
    books.put_back(books.wallet, newest - 1).await;
    assert_eq!(books.rig.found(&[]).await, [at(books.wallet, newest, "cut")]);
    // Without heads its transfer still tells.
    books.rig.tamper("DELETE FROM head_entries").await;
    books.rig.tamper("DELETE FROM heads").await;
    assert_eq!(books.rig.found(&[]).await, [at(books.wallet, newest, "cut")]);
    books.put_back(books.wallet, 4).await;
    let found = books.rig.found(&[]).await;
    assert_eq!(found[0], at(books.wallet, 5, "cut"));
}

async fn the_newest_transfer_cut_as_if_it_had_never_been(rig: Rig) {
    let books = Books::written(rig).await;
    let kept = books.rig.heads(0).await;
    // The last credit: two entries, one transfer, two balances.
    let wallet = books.end_of(books.wallet).await;
    let sandbox =
        books.id("SELECT id FROM ledger_accounts WHERE purpose = 'SANDBOX' AND currency = 'USDC'").await;
    let of_sandbox = books.end_of(sandbox).await;
    let subject = format!(
        "SELECT subject_id AS id FROM entries WHERE sequence = {of_sandbox} AND ledger_account_id = (SELECT id FROM ledger_accounts WHERE purpose = 'SANDBOX' AND currency = 'USDC')"
    );
    let transfer = books.id(&subject).await;
    books.put_back(books.wallet, wallet - 1).await;
    books.put_back(sandbox, of_sandbox - 1).await;
    books.rig.tamper_with(transfer, "DELETE FROM transfers WHERE id = $1").await;
    let mut expected = vec![at(books.wallet, wallet, "cut"), at(sandbox, of_sandbox, "cut")];
    expected.sort();
    assert_eq!(books.rig.found(&[]).await, expected, "the head reaches further");
    // With the head cut as well, only one that was kept elsewhere tells.
    books.rig.tamper("DELETE FROM head_entries WHERE number = 2").await;
    books.rig.tamper("DELETE FROM heads WHERE number = 2").await;
    assert_eq!(books.rig.found(&[]).await, []);
    assert_eq!(books.rig.found(&kept).await, [("heads".into(), "2".into(), "cut".into())]);
    // Nor can other entries, and another head, take their place.
    books.rig.credit(&books.wallet.to_string(), "1").await;
    books.rig.sign(2).await;
    assert_eq!(books.rig.found(&[]).await, []);
    assert_eq!(books.rig.found(&kept).await, [("heads".into(), "2".into(), "changed".into())]);
    // Somebody's own head, kept elsewhere or here.
    let forged = wire::LedgerHead { time_ms: 1, ..kept[0].clone() };
    assert_eq!(books.rig.found(&[forged]).await, [("heads".into(), "2".into(), "forged".into())]);
}

async fn money_from_nowhere(rig: Rig) {
    let books = Books::written(rig).await;
    // A wallet's whole chain written anew with another amount, as one who knows how it is made would: nothing fits but the
    // account itself. What gives it away is the transfer's other side.
    let id = books.id("SELECT id FROM transfers WHERE kind = 'CONVERSION_IN'").await;
    books.set("transfers", "amount", More(100), "id = $1", id.into()).await;
    books.set("balances", "total", More(100), "ledger_account_id = $1", books.other.into()).await;
    let mut found = books.rig.found(&[]).await;
    found.sort();
    let mut expected = vec![
        ("balances".into(), books.other.to_string(), "changed".into()),
        ("transfers".to_owned(), id.to_string(), "changed".to_owned()),
    ];
    expected.sort();
    assert_eq!(found, expected);
}

async fn a_removed_transfer(rig: Rig) {
    let books = Books::written(rig).await;
    let id = books.id("SELECT id FROM transfers WHERE reference = 'a transfer' ORDER BY id LIMIT 1").await;
    books.rig.tamper_with(id, "DELETE FROM transfers WHERE id = $1").await;
    let fees = books.id(FEES_OF_USDC).await;
    let mut expected = vec![at(books.wallet, 2, "changed"), at(fees, 1, "changed")];
    expected.sort();
    assert_eq!(books.rig.found(&[]).await, expected, "of each account the entry that is about it");
}

async fn bad_requests_are_refused(rig: Rig) {
    for token in ["x", "0.entries.5.1.1", "0.sums.1", "2.sums", "0.heads.-"] {
        let request = wire::VerifyLedgerRequest { page_token: token.into(), ..Default::default() };
        assert_eq!(rig.verify_ledger(request).await.unwrap_err().fields(), ["pageToken"], "{token}");
    }
    let request = wire::VerifyLedgerRequest { max_rows: 10_001, ..Default::default() };
    assert_eq!(rig.verify_ledger(request).await.unwrap_err().fields(), ["maxRows"]);
    let kept_heads = vec![wire::LedgerHead::default(); 501];
    let request = wire::VerifyLedgerRequest { kept_heads: kept_heads.clone(), ..Default::default() };
    assert_eq!(rig.verify_ledger(request).await.unwrap_err().fields(), ["keptHeads"]);
    let (page_token, kept_heads) = ("0.sums".into(), kept_heads[..1].to_vec());
    let request = wire::VerifyLedgerRequest { page_token, kept_heads, ..Default::default() };
    assert_eq!(rig.verify_ledger(request).await.unwrap_err().fields(), ["keptHeads"]);
    // A place that is nowhere goes on behind it.
    let page_token = format!("0.accounts.{}", Uuid::max());
    let request = wire::VerifyLedgerRequest { page_token, ..Default::default() };
    assert_eq!(rig.verify_ledger(request).await.unwrap().body.findings, []);
}
