//! `cargo xtask bench gateway`: what the gateway costs. One RPC, GetClient, called (a) directly over gRPC, (b) through the
//! gateway with each kind of key and a warm cache, (c) with a cold cache, (d) in an embedded installation: in turn, round
//! by round, so that whatever else the machine does meets all of them alike.

use crate::cold::{Crowd, get_itself};
use crate::grpc_load::Direct;
use crate::http_load::Connection;
use crate::measure::{Meter, Sample, WORKERS, sample};
use crate::process::Measured;
use crate::report::{Row, table};
use crate::setting;
use beem_signing::{Algorithm, KeyKind};
use beem_tests::cluster_keys::ClusterKeys;
use beem_tests::{Client, Rig};
use futures::FutureExt;
use futures::stream::FuturesUnordered;
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

/// CPU of the gateway for a warm, verified, authorised Ed25519 GET, microseconds.
const GOAL_CPU_US: f64 = 200.0;
/// Its rate, as a share of the rate of direct calls.
const GOAL_SHARE: f64 = 0.3;
/// Resident memory of a gateway at rest, megabytes of 2^20.
const GOAL_REST_MB: u64 = 40;

/// After the start, before memory at rest is read.
const SETTLE: Duration = Duration::from_secs(2);

/// How the RPC is called.
enum Variant {
    Direct(Box<Direct>, Client),
    Gateway(Client),
    Cold(Crowd),
}

pub async fn run() -> Result<(), String> {
    let rounds = setting("BEEM_BENCH_ROUNDS", 5)?;
    let lasting = Duration::from_millis(setting("BEEM_BENCH_ROUND_MS", 2_000)?);
    // Credentials outlive the run: (c) is about standings.
    let settings = [("BEEM__GATEWAY__CREDENTIALS_KEPT_S", "3600")];
    let mut cluster = Rig::start_clustered(&settings);
    let mut embedded = Rig::start_embedded(&settings);
    sleep(SETTLE).await;
    let gateway = process(&mut cluster, "gateway", "gateway-1")?;
    let apart = vec![
        gateway.clone(),
        process(&mut cluster, "identity", "identity")?,
        process(&mut cluster, "authz", "authz")?,
    ];
    let together = vec![Measured { name: "beem", pid: embedded.embedded_mut().process.pid() }];
    let before = [gateway.resident_kb()?, together.first().map_or(Ok(0), Measured::resident_kb)?];
    println!("making clients");
    let variants = variants(&cluster, &embedded).await;
    let mut rows: Vec<Row> = Vec::new();
    for (label, variant) in &variants {
        let processes = if label.starts_with("(d)") { &together } else { &apart };
        rows.push(Row { label, processes: shown(variant, processes), samples: Vec::new() });
    }
    for round in 1..=rounds {
        println!("round {round} of {rounds}");
        for (row, (_, variant)) in rows.iter_mut().zip(&variants) {
            let sample =
                variant.measure(&row.processes, lasting).await.map_err(|e| format!("{}: {e}", row.label))?;
            row.samples.push(sample);
        }
    }
    sleep(SETTLE).await;
    let after = [gateway.resident_kb()?, together.first().map_or(Ok(0), Measured::resident_kb)?];
    println!("\n{WORKERS} requests in flight, {rounds} rounds of {} ms each, medians\n", lasting.as_millis());
    println!("{}", table(&rows));
    goals(&rows, before, after);
    Ok(())
}

async fn variants(cluster: &Rig, embedded: &Rig) -> Vec<(&'static str, Variant)> {
    let (main, lone) = (cluster.client(), embedded.client());
    let viewer = json!({ "roles": ["client:viewer"] });
    let make = async |owner: &Client, kind| {
        let creds = owner.new_client_of(kind, &viewer).await;
        Client { creds, gateway: owner.gateway.clone() }
    };
    let ed25519 = make(&main, KeyKind::Ed25519).await;
    let mut rsa = make(&main, KeyKind::Rsa).await;
    rsa.creds = rsa.creds.with_algorithm(Algorithm::RsaV15Sha256);
    let p256 = make(&main, KeyKind::EcdsaP256).await;
    let alone = make(&lone, KeyKind::Ed25519).await;
    let direct = Box::new(Direct::new(ClusterKeys::read(&cluster.cluster_folder())));
    vec![
        ("(a) gRPC, directly", Variant::Direct(direct, ed25519.clone())),
        ("(b) gateway, Ed25519", Variant::Gateway(ed25519)),
        ("(b) gateway, RSA 2048", Variant::Gateway(rsa)),
        ("(b) gateway, P-256", Variant::Gateway(p256)),
        ("(c) gateway, Ed25519, cold", Variant::Cold(Crowd::make(&main).await)),
        ("(d) embedded, Ed25519", Variant::Gateway(alone)),
    ]
}

impl Variant {
    async fn measure(&self, processes: &[Measured], lasting: Duration) -> Result<Sample, String> {
        let meter = Meter::default();
        match self {
            Self::Direct(direct, client) => {
                let call = direct.call(&client.creds)?;
                let work = async || {
                    while meter.goes_on() {
                        call.send(&direct.channel).await.map_err(|e| e.to_string())?;
                        meter.count();
                    }
                    Ok(())
                };
                let workers = (0..WORKERS).map(|_| work().boxed_local()).collect();
                sample(&meter, workers, processes, lasting).await
            }
            Self::Gateway(client) => {
                let request = get_itself(client);
                let work = async || {
                    let mut connection = Connection::open(client.gateway.address).await?;
                    while meter.goes_on() {
                        connection.exchange(&request).await?;
                        meter.count();
                    }
                    Ok(())
                };
                let workers = (0..WORKERS).map(|_| work().boxed_local()).collect();
                sample(&meter, workers, processes, lasting).await
            }
            Self::Cold(crowd) => {
                crowd.prepare(get_itself).await?;
                let workers: FuturesUnordered<_> =
                    (0..WORKERS).map(|_| crowd.work(&meter).boxed_local()).collect();
                workers.push(crowd.flush(&meter).boxed_local());
                sample(&meter, workers, processes, lasting).await
            }
        }
    }
}

/// Directly called, the gateway has no part in it.
fn shown(variant: &Variant, processes: &[Measured]) -> Vec<Measured> {
    let direct = matches!(variant, Variant::Direct(..));
    processes.iter().filter(|p| !(direct && p.name == "gateway")).cloned().collect()
}

fn goals(rows: &[Row], before_kb: [u64; 2], after_kb: [u64; 2]) {
    if let [direct, ed25519, ..] = rows {
        let cpu = ed25519.cpu_us("gateway").unwrap_or(f64::NAN);
        let least = ed25519.least_cpu_us("gateway").unwrap_or(f64::NAN);
        println!(
            "warm Ed25519 GET, CPU of the gateway   {cpu:>6.0} µs   goal: at most {GOAL_CPU_US:.0}; in its best round {least:.0}"
        );
        println!(
            "  its rate as a share of (a)           {:>6.2}      goal: at least {GOAL_SHARE}",
            ed25519.share_of(direct)
        );
    }
    let [gateway, beem] = before_kb.map(|kb| kb / 1024);
    let [gateway_after, beem_after] = after_kb.map(|kb| kb / 1024);
    println!(
        "memory of the gateway at rest          {gateway:>6} MB   goal: below {GOAL_REST_MB}; after the load {gateway_after} MB"
    );
    println!("memory of the embedded process at rest {beem:>6} MB   after the load {beem_after} MB");
}

fn process(rig: &mut Rig, name: &'static str, member: &str) -> Result<Measured, String> {
    Ok(Measured { name, pid: rig.cluster_mut().process(member)?.pid() })
}
