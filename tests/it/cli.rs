//! The command line of 2.4: call, keygen, sign, verify, admin, doctor.

use beem_signing::{KeyKind, PrivateKey, PublicKey};
use beem_tests::{Rig, eventually, on_both_shapes};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn beem(args: &[&str]) -> Output {
    Command::new(beem_testkit::cluster::beem_bin()).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What it printed; it has to have ended well.
fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{}{}", stdout(output), String::from_utf8_lossy(&output.stderr));
    stdout(output)
}

#[tokio::test]
async fn call_signs_with_the_data_directorys_client_and_prints_the_answer() {
    let rig = Rig::embedded();
    let me: Value = serde_json::from_str(&ok(&rig.beem(&["call", "GET", "/platform/v1/me"]))).unwrap();
    assert_eq!(me["username"], rig.main.client_id.as_str());
    let list = ok(&rig.beem(&["call", "get", "/platform/v1/clients?max=2&order=asc"]));
    assert!(serde_json::from_str::<Value>(&list).unwrap()["content"].is_array());
    let key = beem_tests::creds::new_key(KeyKind::Ed25519);
    let body = serde_json::json!({ "name": "by hand", "publicKey": key.public().pem() }).to_string();
    let made: Value =
        serde_json::from_str(&ok(&rig.beem(&["call", "POST", "/platform/v1/clients", &body]))).unwrap();
    assert_eq!(made["name"], "by hand");
}

#[tokio::test]
async fn call_ends_with_1_on_a_refusal_and_shows_it() {
    let rig = Rig::embedded();
    for (method, path, body, code) in [
        ("GET", "/platform/v1/nothing", None, "not-found"),
        ("POST", "/platform/v1/clients", Some("{\"nmae\":\"x\"}"), "unknown-field"),
        ("POST", "/platform/v1/clients", Some("{"), "malformed-json"),
    ] {
        let args: Vec<&str> = ["call", method, path].into_iter().chain(body).collect();
        let output = rig.beem(&args);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(serde_json::from_str::<Value>(&stdout(&output)).unwrap()["code"], code);
    }
    let included = ok(&rig.beem(&["call", "GET", "/platform/v1/me", "--include"]));
    assert!(included.contains("200") && included.to_lowercase().contains("x-request-id: "), "{included}");
}

#[tokio::test]
async fn call_takes_other_credentials() {
    let rig = Rig::embedded();
    let creds = rig.new_account();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("client.json");
    let client = serde_json::json!({
        "baseUrl": rig.gateways[0].url, "accountId": creds.account_id, "clientId": creds.client_id,
        "algorithm": "ed25519", "privateKeyFile": "client.pem",
    });
    std::fs::write(&file, client.to_string()).unwrap();
    std::fs::write(folder.path().join("client.pem"), creds.key.to_pkcs8_pem().unwrap()).unwrap();
    let said = ok(&beem(&["call", "GET", "/platform/v1/me", "--credentials", file.to_str().unwrap()]));
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["username"], creds.client_id.as_str());
    assert!(!beem(&["call", "GET", "/", "--credentials", "/nowhere/client.json"]).status.success());
}

#[test]
fn keygen_makes_keys_of_every_algorithm() {
    let folder = tempfile::tempdir().unwrap();
    for (algorithm, kind) in [
        (None, KeyKind::Ed25519),
        (Some("ed25519"), KeyKind::Ed25519),
        (Some("rsa-v1_5-sha256"), KeyKind::Rsa),
        (Some("rsa-pss-sha512"), KeyKind::Rsa),
        (Some("ecdsa-p256-sha256"), KeyKind::EcdsaP256),
    ] {
        let args: Vec<&str> =
            ["keygen"].into_iter().chain(algorithm.iter().flat_map(|a| ["--algorithm", a])).collect();
        let said = ok(&beem(&args));
        let (private, public) = said.split_at(said.find("-----BEGIN PUBLIC KEY-----").unwrap());
        let private = PrivateKey::from_pkcs8_pem(private).unwrap();
        assert_eq!(private.kind(), kind);
        assert_eq!(private.public().fingerprint(), PublicKey::parse_pem(public).unwrap().fingerprint());
    }
    let name = folder.path().join("till");
    ok(&beem(&["keygen", "--out", name.to_str().unwrap()]));
    let mode = std::fs::metadata(folder.path().join("till.pem")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert!(folder.path().join("till.pub.pem").is_file());
    assert!(
        !beem(&["keygen", "--out", name.to_str().unwrap()]).status.success(),
        "a key is not written over"
    );
    assert!(!beem(&["keygen", "--algorithm", "dsa"]).status.success());
}

/// What `beem sign` printed: the base, and each header as `name: value`.
fn signed(rig: &Rig, args: &[&str]) -> (String, Vec<String>) {
    let said = ok(&rig.beem(&[&["sign"], args].concat()));
    let (base, headers) = said.split_once("# headers\n").unwrap();
    let base = base.trim_start_matches("# signature base\n").trim_end().to_owned();
    (base, headers.lines().map(str::to_owned).collect())
}

fn verify(key: &Path, headers: &[String], args: &[&str]) -> Output {
    let headers = headers.iter().flat_map(|h| ["-H", h.as_str()]);
    let all: Vec<&str> = ["verify"]
        .into_iter()
        .chain(args.iter().copied())
        .chain(headers)
        .chain(["--public-key", key.to_str().unwrap()])
        .collect();
    beem(&all)
}

#[tokio::test]
async fn what_sign_signs_verify_verifies_and_the_gateway_takes() {
    let rig = Rig::embedded();
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("public.pem");
    std::fs::write(&key, rig.main.key.public().pem()).unwrap();
    let url = format!("{}/platform/v1/clients?max=2", rig.gateways[0].url);
    let body = "{\"name\":\"x\"}";
    for more in [vec![], vec!["--parts"], vec!["--nonce", "n1"], vec!["--idempotency-key", "k1"]] {
        for request in [vec!["GET", url.as_str()], vec!["POST", url.as_str(), body]] {
            let (base, headers) = signed(rig, &[request.clone(), more.clone()].concat());
            assert!(base.contains("\"@method\": ") && base.contains("\"@signature-params\": ("), "{base}");
            let verdict = verify(&key, &headers, &request);
            let said = ok(&verdict);
            assert!(said.contains("accepted: ed25519") && said.contains(&base), "{said}");
            let tampered = verify(&key, &headers, &[&["PATCH"], &request[1..]].concat());
            assert_eq!(tampered.status.code(), Some(1));
            assert!(stdout(&tampered).contains("signature-invalid"), "{}", stdout(&tampered));
        }
    }
    let (_, headers) = signed(rig, &["GET", &url]);
    let wire = beem_tests::Wire::new(rig.gateways[0].address, "GET", "/platform/v1/clients?max=2");
    let wire = headers.iter().fold(wire, |wire, header| {
        let (name, value) = header.split_once(": ").unwrap();
        wire.header(name, value)
    });
    wire.send().await.expect(200);
    // Signed a day ago: the time rules are judged at any moment asked for.
    let created = (beem_tests::forge::now_s() - 86_400).to_string();
    let (_, old) = signed(rig, &["GET", &url, "--created", &created]);
    assert!(stdout(&verify(&key, &old, &["GET", &url])).contains("signature-expired"));
    ok(&verify(&key, &old, &["GET", &url, "--at", &created]));
}

/// On `admin.sock`, or in a cluster with the operator's identity.
async fn admin_makes_and_lists_accounts(rig: &Rig) {
    let account = rig.new_account();
    rig.as_client(&account).get("/platform/v1/me").await.expect(200);
    let list = ok(&rig.beem(&["admin", "list-accounts"]));
    for id in [&account.account_id, &rig.main.account_id] {
        assert!(list.contains(id.as_str()), "{id} in {list}");
    }
    let refused = rig.beem(&["admin", "create-account", "--name", "x"]);
    assert!(!refused.status.success(), "an owner and a folder are needed");
}

/// What hooks takes in, and again from the beginning.
async fn admin_lists_and_restarts_feeds(rig: &Rig) {
    let feeds = || -> Vec<Value> {
        let listed = ok(&rig.beem(&["admin", "list-feeds"]));
        listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let wallet = serde_json::json!({ "currency": "USD", "name": "fed" });
    rig.client().post("/api/v1/wallets", &wallet).await.expect(201);
    let taken_in = eventually("the ledger's events are taken in", || async {
        feeds().into_iter().find(|feed| feed["source"] == "ledger" && feed["position"].as_u64() > Some(0))
    });
    assert_eq!(taken_in.await["lost"], false);
    let begun: Value = serde_json::from_str(&ok(&rig.beem(&["admin", "restart-feed", "ledger"]))).unwrap();
    assert_eq!((&begun["source"], &begun["lost"]), (&"ledger".into(), &false.into()));
    assert!(!rig.beem(&["admin", "restart-feed", "ledgre"]).status.success());
}

async fn doctor_finds_nothing_wrong(rig: &Rig) {
    let said = ok(&rig.beem(&["doctor"]));
    assert!(said.contains("settings") && !said.contains("WRONG"), "{said}");
}

on_both_shapes!(admin_makes_and_lists_accounts, admin_lists_and_restarts_feeds, doctor_finds_nothing_wrong);

#[test]
fn doctor_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("beem.toml");
    std::fs::write(&config, "[gateway]\nlisten = \"127.0.0.1:1\"\n").unwrap();
    let (data, config) = (folder.path().join("data"), config.to_str().unwrap().to_owned());
    let output = beem(&["doctor", "--config", &config, "--data-dir", data.to_str().unwrap()]);
    assert!(!output.status.success());
    assert!(stdout(&output).contains("gateway"), "{}", stdout(&output));
    std::fs::write(&config, "[gateway]\nlistne = \"127.0.0.1:1\"\n").unwrap();
    let output = beem(&["doctor", "--config", &config]);
    assert!(!output.status.success() && stdout(&output).contains("listne"), "{}", stdout(&output));
    assert!(!data.exists(), "it changes nothing");
}
