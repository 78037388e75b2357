//! An installation as a whole: its first start, its files, its end, and that the next start finds everything as it was.

use beem_tests::{Creds, Rig, eventually};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

const CLIENTS: &str = "/platform/v1/clients";

/// Everything one can read of the main account.
async fn as_it_is(rig: &Rig) -> Value {
    let client = rig.client();
    let mut clients = client.get(&format!("{CLIENTS}?max=500")).await.expect(200);
    for one in clients["content"].as_array_mut().unwrap() {
        // Being asked is a use, too.
        let one = one.as_object_mut().unwrap();
        let _ = (one.remove("lastUsed"), one.remove("firstUsed"));
    }
    json!({
        "account": client.get("/platform/v1/account").await.expect(200),
        "me": client.get("/platform/v1/me").await.expect(200),
        "clients": clients,
    })
}

async fn fill(rig: &Rig) -> Creds {
    let client = rig.client();
    client.patch("/platform/v1/account", &json!({ "name": "kept", "baseCurrency": "EUR" })).await.expect(200);
    let kept = client.new_client(&json!({ "roles": ["hook:viewer"] })).await;
    let gone = client.new_client(&json!({})).await;
    client.delete(&format!("{CLIENTS}/{}", gone.id)).await.expect(200);
    client.new_client(&json!({ "enabled": false })).await;
    kept
}

#[tokio::test]
async fn embedded_a_second_start_finds_everything_as_it_was() {
    let mut rig = Rig::start_embedded(&[]);
    let kept = fill(&rig).await;
    let before = as_it_is(&rig).await;
    let wire = rig.client().forge("GET", "/platform/v1/me").sign();
    for kill in [false, true] {
        let embedded = rig.embedded_mut();
        if kill {
            embedded.process.kill();
        } else {
            assert_eq!(embedded.process.stop().unwrap().code(), Some(0), "SIGTERM drains and exits 0");
        }
        assert!(wire.try_send().await.is_err(), "nobody listens");
        rig.embedded_mut().start_again().unwrap();
        assert_eq!(as_it_is(&rig).await, before);
        rig.as_client(&kept).get("/platform/v1/me").await.expect(200);
    }
}

#[tokio::test]
async fn clustered_a_second_start_finds_everything_as_it_was() {
    let mut rig = Rig::start_clustered(&[]);
    let kept = fill(&rig).await;
    let before = as_it_is(&rig).await;
    let names: Vec<String> = rig.cluster_mut().names().map(str::to_owned).collect();
    for name in names.iter().rev() {
        assert_eq!(rig.cluster_mut().stop(name).unwrap().code(), Some(0), "{name} ends with 0 on SIGTERM");
    }
    for name in &names {
        rig.cluster_mut().start_again_unready(name).unwrap();
    }
    rig.cluster_mut().wait_until_ready().unwrap();
    eventually("the gateway serves again", || async {
        (rig.client().get("/platform/v1/me").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(as_it_is(&rig).await, before);
    for client in rig.everywhere(&kept) {
        client.get("/platform/v1/me").await.expect(200);
    }
}

#[tokio::test]
async fn the_data_directory_is_private() {
    let rig = Rig::embedded();
    let dir = match &rig.shape {
        beem_tests::rig::Shape::Embedded(embedded) => embedded.data_dir(),
        beem_tests::rig::Shape::Clustered(_) => unreachable!("it is embedded"),
    };
    let mut files = Vec::new();
    walk(&dir, &mut files);
    for name in ["credentials/client.json", "credentials/client.pem", "credentials/owner.json", "admin.sock"]
    {
        assert!(files.iter().any(|f| f == &dir.join(name)), "no {name} in {files:?}");
    }
    let sqlite = files.iter().filter(|f| f.extension().is_some_and(|e| e == "sqlite"));
    assert_eq!(sqlite.count(), 4, "one file per service: {files:?}");
    let owner: Value =
        serde_json::from_slice(&fs::read(dir.join("credentials/owner.json")).unwrap()).unwrap();
    assert_eq!(owner.as_object().unwrap().len(), 2, "{owner}");
    assert!(owner["email"].is_string() && owner["activationUrl"].is_string(), "{owner}");
    let pem = fs::read_to_string(dir.join("credentials/client.pem")).unwrap();
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----"), "PKCS#8");
}

/// Folders 0700, files and sockets 0600.
fn walk(dir: &Path, files: &mut Vec<std::path::PathBuf>) {
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(dir), 0o700, "{}", dir.display());
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.is_dir() {
            walk(&path, files);
        } else {
            let kind = metadata.file_type();
            assert!(kind.is_file() || kind.is_socket(), "{}", path.display());
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            files.push(path);
        }
    }
}

/// One line on stdout says where; `/readyz` is 200 from then on. A port of 0 is any.
#[tokio::test]
async fn the_ready_line_comes_when_it_serves() {
    let folder = tempfile::tempdir().unwrap();
    // It may exist and hold other files before the first start.
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let mut child = tokio::process::Command::new(beem_testkit::cluster::beem_bin())
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let lines = tokio::io::BufReader::new(child.stdout.take().unwrap());
    let ready = tokio::time::timeout(std::time::Duration::from_secs(60), ready_line(lines)).await.unwrap();
    let address = ready.strip_prefix("beem is ready on http://").unwrap().parse().unwrap();
    assert_eq!(beem_testkit::cluster::http_status(address, "/readyz"), Some(200));
    let (creds, url) = Creds::load(&folder.path().join("credentials")).unwrap();
    assert_eq!(url, format!("http://{address}"));
    let client = beem_tests::Client { creds, gateway: beem_tests::rig::Gateway { url, address } };
    client.get("/platform/v1/me").await.expect(200);
    assert_eq!(fs::read_to_string(folder.path().join("notes.txt")).unwrap(), "mine");
    assert!(beem_testkit::process::signal(child.id().unwrap(), "INT"));
    assert_eq!(child.wait().await.unwrap().code(), Some(0), "Ctrl-C drains and exits 0");
}

async fn ready_line(stdout: tokio::io::BufReader<tokio::process::ChildStdout>) -> String {
    use tokio::io::AsyncBufReadExt;
    let mut lines = stdout.lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.starts_with("beem is ready") {
            return line;
        }
    }
    panic!("it ended without being ready")
}

fn serve(dir: &Path, more: &[&str]) -> std::process::Output {
    let mut command = Command::new(beem_testkit::cluster::beem_bin());
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(dir).args(more).output().unwrap()
}

#[tokio::test]
async fn a_second_process_is_kept_out_of_the_data_directory() {
    let mut rig = Rig::start_embedded(&[]);
    let dir = rig.embedded_mut().data_dir();
    let second = serve(&dir, &[]);
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("another process"), "{said}");
    rig.client().get("/platform/v1/me").await.expect(200);
}

#[tokio::test]
async fn the_environment_is_fixed_at_the_first_start() {
    let mut rig = Rig::start_embedded(&[("BEEM__ENVIRONMENT", "live")]);
    let known = |rig: &Rig| {
        let wire = beem_tests::Wire::new(rig.gateways[0].address, "GET", "/.well-known/beem");
        async move { wire.send().await.json()["environment"].as_str().unwrap().to_owned() }
    };
    assert_eq!(known(&rig).await, "live");
    let dir = rig.embedded_mut().data_dir();
    assert!(rig.embedded_mut().process.stop().unwrap().success());
    let other = serve(&dir, &["--environment", "sandbox"]);
    assert!(!other.status.success(), "another environment stops the start");
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(said.contains("live"), "{said}");
    assert!(!serve(&dir, &["--environment", "test"]).status.success());
    rig.embedded_mut().start_again().unwrap();
    assert_eq!(known(&rig).await, "live");
}
