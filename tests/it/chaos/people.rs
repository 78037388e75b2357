//! `kill -9` while people are invited, activate and have their roles changed: each is done or not done, every invitation
//! that was answered is mailed at least once and none that was refused, and the trail has a row for every deed.

use super::guests::{Host, verify};
use super::installation::{House, Installation};
use super::kills::{SEED_ENV, seed, torment};
use super::writers::{Choices, Course};
use beem_tests::Rig;
use beem_tests::rig::{Shape, proxied};
use serde_json::json;
use tokio::task::JoinSet;

const HOSTS: u64 = 3;

async fn kill_each(mut house: House, victims: Vec<&'static str>) {
    let seed = seed();
    println!("{SEED_ENV}={seed}");
    let (choices, course) = (Choices::new(seed), Course::default());
    let main = house.everywhere(house.main()).remove(0);
    // Somebody who may invite, and holds nothing to hand out.
    let poor = main.new_client(&json!({ "roles": ["user:operator"] })).await;
    let mut hosts = JoinSet::new();
    for n in 0..HOSTS {
        let host = Host::new(&house, &poor, &format!("h{n}"), seed.wrapping_mul(31).wrapping_add(n));
        hosts.spawn(host.work(course.clone()));
    }
    torment(&mut house, victims, &choices, &course).await;
    let hosts = hosts.join_all().await;
    house.all_run();
    verify(&house, hosts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clustered_kill_9_while_people_come_in() {
    let proxied = proxied(&[]);
    let settings: Vec<(&str, &str)> = proxied.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let house = House::Clustered(Box::new(Installation::start(&settings)));
    kill_each(house, vec!["identity", "authz", "gateway-1", "identity", "authz"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_kill_9_while_people_come_in() {
    let proxied = proxied(&[]);
    let settings: Vec<(&str, &str)> = proxied.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let rig = Rig::start_embedded(&settings);
    assert!(matches!(rig.shape, Shape::Embedded(_)));
    kill_each(House::Embedded(Box::new(rig)), vec!["beem"; 4]).await;
}
