//! The cluster under measurement: its hooks process, told that the ledger is the producer of this program.

use super::producer::Producer;
use beem_tests::{Client, Rig};
use serde_json::{Value, json};
use toml::{Table, Value as Toml};

const HOOKS: &str = "/platform/v1/hooks";

/// See the module.
pub struct House {
    // Declared first: it stops before what it is asked by.
    rig: Rig,
    producer: Producer,
    hooks: Vec<String>,
}

impl House {
    pub async fn start() -> Result<Self, String> {
        let mut rig = Rig::start_clustered(&[]);
        let account = rig.main.account_id.parse().map_err(|_| "no account")?;
        let folder = rig.cluster_folder();
        let producer = Producer::start(&folder, account).await?;
        let path = folder.join("hooks.toml");
        let text = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
        let mut settings: Table = text.parse().map_err(|e: toml::de::Error| e.to_string())?;
        let peers =
            settings.get_mut("peers").and_then(Toml::as_table_mut).ok_or("hooks.toml has no [peers]")?;
        peers.insert("ledger".into(), format!("https://{}", producer.address).into());
        std::fs::write(&path, settings.to_string()).map_err(|e| e.to_string())?;
        let cluster = rig.cluster_mut();
        cluster.stop("hooks")?;
        // Another ledger, another history: what this process knows of the one before is lost, which an operator has to say.
        cluster.start_again("hooks")?;
        cluster
            .admin(&["restart-feed", "ledger"])
            .map(drop)
            .or_else(|e| if e.contains("not-found") { Ok(()) } else { Err(e) })?;
        Ok(Self { rig, producer, hooks: Vec::new() })
    }

    pub fn producer(&self) -> &Producer {
        &self.producer
    }

    fn client(&self) -> Client {
        self.rig.client()
    }

    pub fn hooks_pid(&mut self) -> Result<u32, String> {
        Ok(self.rig.cluster_mut().process("hooks")?.pid())
    }

    /// A hook each.
    pub async fn send_to(&mut self, urls: &[String]) -> Result<(), String> {
        for url in urls {
            let made = self.client().post(HOOKS, &json!({ "url": url, "eventCodes": ["*"] })).await;
            let made: Value = if made.status == 201 { made.json() } else { return Err(made.text()) };
            let id = made.get("id").and_then(Value::as_str).ok_or("no id")?;
            self.hooks.push(id.to_owned());
        }
        Ok(())
    }

    /// Nothing is sent to the earlier ones any more.
    pub async fn forget_hooks(&mut self) -> Result<(), String> {
        for hook in std::mem::take(&mut self.hooks) {
            let gone = self.client().delete(&format!("{HOOKS}/{hook}")).await;
            if gone.status != 200 {
                return Err(gone.text());
            }
        }
        Ok(())
    }
}
