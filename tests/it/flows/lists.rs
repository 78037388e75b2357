//! Lists: so many at once, from where, in which order, and stable while others write.

use beem_tests::{Client, Rig, on_both_shapes};
use serde_json::{Value, json};

const CLIENTS: &str = "/platform/v1/clients";

/// An account with its first client and seven more; all ids, oldest first.
async fn eight(rig: &Rig) -> (Client, Vec<String>) {
    let owner = rig.as_client(&rig.new_account());
    let mut all = ids(&owner.get(CLIENTS).await.expect(200));
    for _ in 0..7 {
        all.push(owner.new_client(&json!({})).await.id);
    }
    (owner, all)
}

fn ids(list: &Value) -> Vec<String> {
    list["content"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap().to_owned()).collect()
}

fn next(list: &Value) -> &str {
    list["nextPageToken"].as_str().unwrap()
}

/// Every page of `max`, joined; `between` happens after the first.
async fn walk(owner: &Client, query: &str, between: impl AsyncFn()) -> Vec<String> {
    let mut page = owner.get(&format!("{CLIENTS}?{query}")).await.expect(200);
    let mut all = ids(&page);
    between().await;
    while !next(&page).is_empty() {
        page = owner.get(&format!("{CLIENTS}?{query}&pageToken={}", next(&page))).await.expect(200);
        all.extend(ids(&page));
    }
    all
}

async fn a_list_is_newest_first_and_walked_by_tokens(rig: &Rig) {
    let (owner, oldest_first) = eight(rig).await;
    let newest_first: Vec<String> = oldest_first.iter().rev().cloned().collect();
    let whole = owner.get(CLIENTS).await.expect(200);
    assert_eq!((ids(&whole), next(&whole)), (newest_first.clone(), ""));
    assert_eq!(whole.as_object().unwrap().len(), 2, "content and nextPageToken");
    for max in [1, 3, 4, 8, 9] {
        assert_eq!(walk(&owner, &format!("max={max}"), async || {}).await, newest_first, "max={max}");
        assert_eq!(
            walk(&owner, &format!("order=asc&max={max}"), async || {}).await,
            oldest_first,
            "max={max}"
        );
    }
    let exact = owner.get(&format!("{CLIENTS}?max=8")).await.expect(200);
    assert_eq!(next(&exact), "", "no token when nothing follows");
    assert_eq!(ids(&owner.get(&format!("{CLIENTS}?order=desc&max=2")).await.expect(200)), newest_first[..2]);
}

async fn a_walk_is_stable_under_inserts(rig: &Rig) {
    let (owner, oldest_first) = eight(rig).await;
    let newest_first: Vec<String> = oldest_first.iter().rev().cloned().collect();
    let insert = async || {
        owner.new_client(&json!({})).await;
        owner.new_client(&json!({})).await;
    };
    assert_eq!(
        walk(&owner, "max=3", insert).await,
        newest_first,
        "what is newer comes before the first page"
    );
    let seen = walk(&owner, "max=3&order=asc", insert).await;
    assert_eq!(seen[..8], oldest_first, "what is newer comes last");
    assert_eq!(seen.len(), 12);
}

async fn an_offset_skips(rig: &Rig) {
    let (owner, oldest_first) = eight(rig).await;
    let newest_first: Vec<String> = oldest_first.iter().rev().cloned().collect();
    let page = |query: &'static str| {
        let owner = owner.clone();
        async move { ids(&owner.get(&format!("{CLIENTS}?{query}")).await.expect(200)) }
    };
    assert_eq!(page("offset=0&max=3").await, newest_first[..3]);
    assert_eq!(page("offset=3&max=3").await, newest_first[3..6]);
    assert_eq!(page("offset=6&max=3&order=asc").await, oldest_first[6..]);
    assert_eq!(page("offset=100").await, Vec::<String>::new());
    // A page that began with an offset goes on by its token.
    let first = owner.get(&format!("{CLIENTS}?offset=2&max=2")).await.expect(200);
    let second = owner.get(&format!("{CLIENTS}?max=2&pageToken={}", next(&first))).await.expect(200);
    assert_eq!(ids(&second), newest_first[4..6]);
}

async fn wrong_parameters_are_named(rig: &Rig) {
    let (owner, _) = eight(rig).await;
    let token = next(&owner.get(&format!("{CLIENTS}?max=1")).await.expect(200)).to_owned();
    let (other_order, garbled) = (
        format!("order=asc&pageToken={token}"),
        format!("pageToken={}", token.chars().rev().collect::<String>()),
    );
    for (query, field) in [
        ("max=0", "max"),
        ("max=501", "max"),
        ("max=-1", "max"),
        ("max=ten", "max"),
        ("max=", "max"),
        ("order=ASC", "order"),
        ("offset=-1", "offset"),
        (other_order.as_str(), "pageToken"),
        (garbled.as_str(), "pageToken"),
    ] {
        let problem = owner.get(&format!("{CLIENTS}?{query}")).await.refused(400, "validation-failed");
        assert_eq!(problem["errors"][0]["field"], field, "{query}: {problem}");
    }
    owner.get(&format!("{CLIENTS}?max=500")).await.expect(200);
    let problem = owner.get(&format!("{CLIENTS}?Max=5")).await.refused(400, "unknown-field");
    assert_eq!(problem["errors"][0]["field"], "Max");
}

on_both_shapes!(
    a_list_is_newest_first_and_walked_by_tokens,
    a_walk_is_stable_under_inserts,
    an_offset_skips,
    wrong_parameters_are_named,
);
