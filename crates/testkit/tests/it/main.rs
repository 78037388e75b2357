//! The servers themselves: they start, are killed, recover and leave nothing behind.

use beem_testkit::cluster::{Cluster, Options, http_status};
use beem_testkit::{eventually, postgres, redis};
use std::time::Duration;

#[test]
fn postgres_keeps_committed_rows_over_a_kill() {
    let mut server = postgres::Server::start().unwrap();
    let url = server.fresh_database().unwrap();
    let name = url.split(['/', '?']).nth(3).unwrap();
    server.sql(name, "CREATE TABLE t(n int); INSERT INTO t VALUES (7);").unwrap();
    server.kill();
    assert!(server.sql(name, "SELECT 1;").is_err());
    server.start_again().unwrap();
    assert_eq!(server.sql(name, "SELECT n FROM t;").unwrap().trim(), "7");
    let folder = server.socket_dir().to_owned();
    drop(server);
    assert!(!folder.exists());
}

#[test]
fn databases_are_apart() {
    let server = postgres::Server::start().unwrap();
    server.create_database("one").unwrap();
    server.create_database("two").unwrap();
    server.sql("one", "CREATE TABLE t(n int);").unwrap();
    assert!(server.sql("two", "SELECT * FROM t;").is_err());
    assert!(server.create_database("one").is_err());
}

#[test]
fn redis_forgets_over_a_kill() {
    let mut server = redis::Server::start().unwrap();
    assert!(server.url().starts_with("redis+unix:///"));
    server.flush().unwrap();
    server.kill();
    assert!(server.flush().is_err());
    server.start_again().unwrap();
    server.flush().unwrap();
}

#[test]
fn a_cluster_starts_its_processes_and_each_can_be_killed_and_started_again() {
    let (postgres, redis) = (postgres::Server::start().unwrap(), redis::Server::start().unwrap());
    let beem = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/beem.py").into();
    let mut cluster = Cluster::start(&Options::new(beem, postgres.socket(), redis.url())).unwrap();
    assert_eq!(
        cluster.names().collect::<Vec<_>>(),
        ["identity", "authz", "ledger", "hooks", "gateway-1", "gateway-2"]
    );
    assert_eq!(cluster.gateways().len(), 2);
    assert!(cluster.database("authz").is_some_and(|url| url.starts_with("postgres://")));
    let address = cluster.address("gateway-2").unwrap();
    assert_eq!(http_status(address, "/readyz"), Some(200));
    cluster.kill("gateway-2").unwrap();
    assert_eq!(http_status(address, "/readyz"), None);
    cluster.start_again("gateway-2").unwrap();
    assert_eq!(http_status(address, "/readyz"), Some(200));
    assert!(!cluster.stop("identity").unwrap().success(), "this one dies of SIGTERM");
    assert!(cluster.create_account("Example", "first").unwrap().join("client.json").is_file());
    assert!(cluster.kill("channels").is_err());
    let folder = cluster.folder().to_owned();
    drop(cluster);
    assert!(!folder.exists() && http_status(address, "/readyz").is_none());
}

/// What keeps a killed `cargo xtask` from leaving servers behind. A thread's end stands for the process's.
#[cfg(target_os = "linux")]
#[test]
fn servers_end_with_the_thread_that_started_them_when_asked_to() {
    let start = || {
        let postgres = postgres::Options { ends_with_thread: true, ..postgres::Options::default() };
        let redis = redis::Options { ends_with_thread: true };
        (postgres::Server::start_with(postgres).unwrap(), redis::Server::start_with(redis).unwrap())
    };
    let (postgres, redis) = std::thread::spawn(start).join().unwrap();
    let gone =
        || Ok((redis.flush().is_err() && postgres.sql("postgres", "SELECT 1;").is_err()).then_some(()));
    eventually("both are gone", Duration::from_secs(20), gone).unwrap();
}
