//! Accounts with people in them.

use crate::caller::{Caller, Visitor};
use crate::client::Client;
use crate::creds::Creds;
use crate::mailbox::token_of;
use crate::people::{AUDIT, Person};
use crate::rig::{Rig, Shape};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// An account with its first client and its Owner, who has activated.
#[derive(Clone, Debug)]
pub struct Household {
    /// All 15 roles, as a client.
    pub client: Client,
    /// All 15 roles, as a person.
    pub owner: Person,
}

impl Rig {
    /// Somebody at the first gateway who has proven nothing.
    #[must_use]
    pub fn visitor(&self) -> Visitor {
        Visitor::new(&self.gateways[0])
    }

    /// Another account, whose Owner has activated by the link that `owner.json` holds.
    pub async fn household(&self) -> Household {
        let folder = self.make_account();
        let client = self.as_client(&Creds::load(&folder).unwrap().0);
        let (email, link) = owner_of(&folder);
        let owner = Person::activate(&self.visitor(), &email, &token_of(&link)).await;
        Household { client, owner }
    }

    /// A person invited by somebody who may, with these fields of CreateUser beside, and activated.
    pub async fn join(&self, inviter: &dyn Caller, fields: &Value) -> Person {
        Person::join(inviter, &self.visitor(), &self.mailbox, fields).await
    }

    /// Where its logs are, `*.log`.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        match &self.shape {
            Shape::Clustered(cluster) => cluster.folder().to_owned(),
            Shape::Embedded(embedded) => embedded.data_dir().parent().unwrap().to_owned(),
        }
    }
}

/// The Owner's address and activation link, as `owner.json` has them.
#[must_use]
pub fn owner_of(credentials: &Path) -> (String, String) {
    let text = std::fs::read(credentials.join("owner.json")).unwrap();
    let file: Value = serde_json::from_slice(&text).unwrap();
    let text = |name: &str| file[name].as_str().unwrap().to_owned();
    (text("email"), text("activationUrl"))
}

/// All rows of the audit trail that a query finds, page by page; `max=500` unless the query says otherwise.
pub async fn trail(caller: &dyn Caller, query: &str) -> Vec<Value> {
    let (mut rows, mut token) = (Vec::new(), String::new());
    loop {
        let max = if query.contains("max=") { "" } else { "&max=500" };
        let target = format!("{AUDIT}?{query}{max}&pageToken={token}").replace("?&", "?");
        let page = crate::ask(caller, "GET", &target, &Value::Null).await.expect(200);
        rows.extend(page["content"].as_array().unwrap().clone());
        page["nextPageToken"].as_str().unwrap().clone_into(&mut token);
        if token.is_empty() {
            return rows;
        }
    }
}
