//! Exports: whole, in constant memory, broken off rather than cut short, and harmless to spreadsheets.

use crate::credits::credit;
use crate::on_both;
use crate::rig::{Refusal, Rig};
use crate::transactions::{convert, hold, post, put};
use crate::wallets::{get, opened};
use beem_caller::Actor;
use beem_ledger::domain::{Kind, NewTransfer, Purpose, Step};
use beem_proto::google::api::HttpBody;
use beem_proto::ledger::v1 as wire;
use beem_proto::to_timestamp;
use tonic::Streaming;

on_both!(
    a_hundred_thousand_rows_add_up_and_are_read_as_they_are_taken,
    an_export_ends_with_the_moment_of_its_call,
    a_failure_in_the_middle_breaks_the_export_off,
    a_reader_that_goes_away_leaves_nothing_behind,
    an_export_says_what_the_list_says,
    an_empty_wallet_has_a_header,
    filters_choose_and_wrong_ones_are_named,
    what_a_spreadsheet_would_run_is_text,
);

const HEADER: &str = "id,time,kind,amount,balanceAfter,currency,counterpartCurrency,counterpartAmount,rate,reference,causeType,causeId";

fn of(id: &str) -> wire::ExportTransactionsRequest {
    wire::ExportTransactionsRequest { id: id.into(), ..Default::default() }
}

pub async fn refused(rig: &Rig, actor: &Actor, id: &str) -> Refusal {
    rig.export_transactions(actor, of(id)).await.err().unwrap()
}

/// All the rest of it.
async fn rest(mut pieces: Streaming<HttpBody>) -> Result<Vec<u8>, tonic::Status> {
    let mut all = Vec::new();
    while let Some(piece) = pieces.message().await? {
        all.extend_from_slice(&piece.data);
    }
    Ok(all)
}

async fn export(rig: &Rig, actor: &Actor, asked: wire::ExportTransactionsRequest) -> String {
    String::from_utf8(rest(rig.export_transactions(actor, asked).await.unwrap()).await.unwrap()).unwrap()
}

fn rows(text: &str) -> Vec<csv::StringRecord> {
    let mut csv = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(csv.headers().unwrap().iter().collect::<Vec<_>>().join(","), HEADER);
    csv.records().map(Result::unwrap).collect()
}

/// Minor units of US dollars.
fn minor(text: &str) -> i128 {
    text.replace('.', "").parse().unwrap()
}

/// That many movements, in and out, in orders of a thousand.
async fn filled(rig: &Rig, owner: &Actor, thousands: u32) -> wire::Wallet {
    let wallet = opened(rig, owner, "USD", "full").await;
    let of_dollars = |purpose: Purpose| purpose.id("USD".parse().unwrap(), "");
    let (sandbox, fees) = (of_dollars(Purpose::Sandbox), of_dollars(Purpose::Fees));
    let id = wallet.id.parse().unwrap();
    for at in 0..thousands {
        let steps = (0..1_000_u32).map(|n| {
            let transfer = match n % 3 {
                2 => put(rig, id, fees, "USD", i128::from(n % 7 + 1), Kind::Fee),
                _ => put(rig, sandbox, id, "USD", i128::from(n + at + 7), Kind::Deposit),
            };
            Step::Transfer(NewTransfer { reference: "before".into(), ..transfer })
        });
        post(rig, owner, steps.collect()).await;
        rig.clock.advance_ms(1);
    }
    wallet
}

async fn a_hundred_thousand_rows_add_up_and_are_read_as_they_are_taken(rig: Rig) {
    let owner = rig.stranger();
    let wallet = filled(&rig, &owner, 100).await;
    let mut pieces = rig.export_transactions(&owner, of(&wallet.id)).await.unwrap();
    let first = pieces.message().await.unwrap().unwrap();
    assert_eq!(first.content_type, "text/csv; charset=utf-8");
    assert!(first.data.len() < 1_000_000);
    // Whatever is read from here on says so: what does not was read ahead of this reader.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    rig.tamper("UPDATE transfers SET reference = 'after'").await;
    let mut text = first.data.to_vec();
    text.extend(rest(pieces).await.unwrap());
    let rows = rows(std::str::from_utf8(&text).unwrap());
    assert_eq!(rows.len(), 100_000);
    let ahead = rows.iter().filter(|row| &row[9] == "before").count();
    assert!(ahead <= 3_000, "{ahead} rows were read ahead");
    let mut total = 0;
    for row in &rows {
        total += minor(&row[3]);
        assert_eq!(minor(&row[4]), total);
    }
    let balance = get(&rig, &owner, &wallet.id).await.unwrap().balance.unwrap();
    assert_eq!(total, minor(&balance.total));
}

async fn an_export_ends_with_the_moment_of_its_call(rig: Rig) {
    let owner = rig.stranger();
    let wallet = filled(&rig, &owner, 5).await;
    let pieces = rig.export_transactions(&owner, of(&wallet.id)).await.unwrap();
    for at in 0..3 {
        // In the same millisecond, and later.
        credit(&rig, &owner, &format!("{at}"), &wallet.id, "1.00", "").await.unwrap();
        hold(&rig, &owner, &wallet.id, 1).await;
        rig.clock.advance_ms(1);
    }
    let text = String::from_utf8(rest(pieces).await.unwrap()).unwrap();
    assert_eq!(rows(&text).len(), 5_000);
    assert_eq!(rows(&export(&rig, &owner, of(&wallet.id)).await).len(), 5_003);
}

async fn a_failure_in_the_middle_breaks_the_export_off(rig: Rig) {
    let owner = rig.stranger();
    let wallet = filled(&rig, &owner, 10).await;
    let mut pieces = rig.export_transactions(&owner, of(&wallet.id)).await.unwrap();
    pieces.message().await.unwrap().unwrap();
    rig.tamper("ALTER TABLE transfers RENAME TO lost").await;
    let status = rest(pieces).await.unwrap_err();
    assert_eq!(beem_fault::Fault::from(status).code.as_str(), "internal");
    rig.tamper("ALTER TABLE lost RENAME TO transfers").await;
    // A transfer that is not there is no row less.
    rig.tamper("DELETE FROM transfers WHERE amount = '8' OR amount = '16'").await;
    let pieces = rig.export_transactions(&owner, of(&wallet.id)).await.unwrap();
    rest(pieces).await.unwrap_err();
}

async fn a_reader_that_goes_away_leaves_nothing_behind(rig: Rig) {
    let owner = rig.stranger();
    let wallet = filled(&rig, &owner, 5).await;
    // Many more than there are connections to read with, none of which a sleeping reader holds.
    let mut sleeping = Vec::new();
    for _ in 0..50 {
        let mut pieces = rig.export_transactions(&owner, of(&wallet.id)).await.unwrap();
        pieces.message().await.unwrap().unwrap();
        sleeping.push(pieces);
    }
    assert_eq!(get(&rig, &owner, &wallet.id).await.unwrap().id, wallet.id);
    credit(&rig, &owner, "c", &wallet.id, "1.00", "").await.unwrap();
    let last = sleeping.pop().unwrap();
    drop(sleeping);
    assert_eq!(
        rows(&format!("{HEADER}\n{}", String::from_utf8(rest(last).await.unwrap()).unwrap())).len(),
        4_000
    );
}

async fn an_export_says_what_the_list_says(rig: Rig) {
    let owner = rig.stranger();
    let usd = opened(&rig, &owner, "USD", "a").await;
    let eur = opened(&rig, &owner, "EUR", "b").await;
    credit(&rig, &owner, "1", &usd.id, "100.00", "for \"Ada\", and\u{a0}others").await.unwrap();
    rig.clock.advance_ms(1_234);
    convert(&rig, &owner, &usd.id, &eur.id, (1_000, 900)).await;
    hold(&rig, &owner, &usd.id, 1).await;
    for wallet in [&usd, &eur] {
        let asked = wire::ListTransactionsRequest {
            id: wallet.id.clone(),
            order: "asc".into(),
            ..Default::default()
        };
        let listed = rig.list_transactions(&owner, asked).await.unwrap().content;
        let text = export(&rig, &owner, of(&wallet.id)).await;
        assert!(text.ends_with("\r\n") && !text.replace("\r\n", "").contains('\n'));
        let expected: Vec<[String; 12]> = listed
            .into_iter()
            .map(|row| {
                let (other, cause) = (row.counterpart.unwrap_or_default(), row.cause.unwrap());
                [
                    row.id,
                    row.time.unwrap().to_string(),
                    row.kind,
                    row.amount,
                    row.balance_after,
                    row.currency,
                    other.currency,
                    other.amount,
                    other.rate,
                    row.reference,
                    cause.r#type,
                    cause.id,
                ]
            })
            .collect();
        let exported: Vec<Vec<String>> =
            rows(&text).iter().map(|row| row.iter().map(str::to_owned).collect()).collect();
        assert_eq!(exported, expected);
    }
}

async fn an_empty_wallet_has_a_header(rig: Rig) {
    let owner = rig.stranger();
    let wallet = opened(&rig, &owner, "USD", "a").await;
    assert_eq!(export(&rig, &owner, of(&wallet.id)).await, format!("{HEADER}\r\n"));
    credit(&rig, &owner, "c", &wallet.id, "1.00", "").await.unwrap();
    let fees = wire::ExportTransactionsRequest { kind: "FEE".into(), ..of(&wallet.id) };
    assert_eq!(export(&rig, &owner, fees).await, format!("{HEADER}\r\n"));
}

async fn filters_choose_and_wrong_ones_are_named(rig: Rig) {
    let owner = rig.stranger();
    let wallet = filled(&rig, &owner, 3).await;
    let all = rows(&export(&rig, &owner, of(&wallet.id)).await);
    let fees = wire::ExportTransactionsRequest { kind: "FEE".into(), format: "csv".into(), ..of(&wallet.id) };
    let fees = rows(&export(&rig, &owner, fees).await);
    assert_eq!(fees, all.iter().filter(|row| &row[2] == "FEE").cloned().collect::<Vec<_>>());
    // The three thousands have a millisecond each.
    let first = rig.clock.now().unix_ms() - 3;
    let middle = wire::ExportTransactionsRequest {
        from: Some(to_timestamp(first + 1)),
        to: Some(to_timestamp(first + 2)),
        ..of(&wallet.id)
    };
    assert_eq!(rows(&export(&rig, &owner, middle).await), all[1_000..2_000]);
    let asked = [
        ("format", wire::ExportTransactionsRequest { format: "xml".into(), ..of(&wallet.id) }),
        ("kind", wire::ExportTransactionsRequest { kind: "HOLD".into(), ..of(&wallet.id) }),
    ];
    for (field, asked) in asked {
        assert_eq!(rig.export_transactions(&owner, asked).await.err().unwrap().fields(), [field]);
    }
}

async fn what_a_spreadsheet_would_run_is_text(rig: Rig) {
    let owner = rig.stranger();
    let wallet = opened(&rig, &owner, "USD", "a").await;
    let written = ["=1+1", "+1", "-1", "@SUM(A1)", "=HYPERLINK(\"http://x\",\"y\")", "a=1", "'=1"];
    for (at, reference) in written.into_iter().enumerate() {
        credit(&rig, &owner, &at.to_string(), &wallet.id, "5.00", reference).await.unwrap();
    }
    let fees = Purpose::Fees.id("USD".parse().unwrap(), "");
    post(
        &rig,
        &owner,
        vec![Step::Transfer(put(&rig, wallet.id.parse().unwrap(), fees, "USD", 7, Kind::Fee))],
    )
    .await;
    let rows = rows(&export(&rig, &owner, of(&wallet.id)).await);
    let references: Vec<_> = rows.iter().take(written.len()).map(|row| row[9].to_owned()).collect();
    let expected = ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'=HYPERLINK(\"http://x\",\"y\")", "a=1", "'=1"];
    assert_eq!(references, expected);
    assert_eq!(&rows[written.len()][3], "-0.07");
}
