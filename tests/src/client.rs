//! One client of the public API: signs every request anew and sends it to one gateway.

use crate::creds::Creds;
use crate::forge::Forge;
use crate::rig::Gateway;
use crate::wire::{Answer, Wire};
use serde_json::Value;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    pub creds: Creds,
    pub gateway: Gateway,
}

impl Client {
    /// A request of this client, not yet signed.
    #[must_use]
    pub fn forge(&self, method: &str, target: &str) -> Forge {
        let mut wire = Wire::new(self.gateway.address, method, target);
        self.gateway.url.trim_start_matches("http://").clone_into(&mut wire.host);
        Forge::new(wire, &self.creds, &self.gateway.url)
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.forge("GET", target).sign().send().await
    }

    /// A null body is none.
    pub async fn post(&self, target: &str, body: &Value) -> Answer {
        crate::ask(self, "POST", target, body).await
    }

    pub async fn patch(&self, target: &str, body: &Value) -> Answer {
        self.forge("PATCH", target).json(body).sign().send().await
    }

    pub async fn delete(&self, target: &str) -> Answer {
        self.forge("DELETE", target).sign().send().await
    }

    /// A write under an `Idempotency-Key`; a null body is none.
    pub async fn keyed(&self, method: &str, target: &str, body: &Value, key: &str) -> Answer {
        let forge = self.forge(method, target).keyed(key);
        let forge = if body.is_null() { forge } else { forge.json(body) };
        forge.sign().send().await
    }

    /// The same client at another gateway.
    #[must_use]
    pub fn at(&self, gateway: &Gateway) -> Self {
        Self { gateway: gateway.clone(), ..self.clone() }
    }
}
