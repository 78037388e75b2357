//! Whoever calls the public API: a client that signs, a person with a session, a visitor who is nobody yet.

use crate::client::Client;
use crate::creds::Creds;
use crate::forge::unique;
use crate::rig::Gateway;
use crate::wire::{Answer, Wire};
use beem_clock::Entropy;
use serde_json::Value;

/// See the module. A request is built anew for each sending: signatures are good once.
pub trait Caller: std::fmt::Debug + Send + Sync {
    /// A request as it goes out; a null body is none.
    fn wire(&self, method: &str, target: &str, body: &Value, key: Option<&str>) -> Wire;

    /// The same at another gateway.
    fn moved(&self, gateway: &Gateway) -> Box<dyn Caller>;
}

/// Sends one request of anybody's.
pub async fn ask(caller: &dyn Caller, method: &str, target: &str, body: &Value) -> Answer {
    caller.wire(method, target, body, None).send().await
}

impl Caller for Client {
    fn wire(&self, method: &str, target: &str, body: &Value, key: Option<&str>) -> Wire {
        let mut forge = self.forge(method, target);
        if let Some(key) = key {
            forge = forge.keyed(key);
        }
        if body.is_null() { forge.sign() } else { forge.json(body).sign() }
    }

    fn moved(&self, gateway: &Gateway) -> Box<dyn Caller> {
        Box::new(self.at(gateway))
    }
}

/// Somebody who proves nothing, from somewhere.
#[derive(Clone, Debug)]
pub struct Visitor {
    pub gateway: Gateway,
    /// What the proxy says, where this machine is taken for one.
    pub place: String,
}

/// An address nobody else calls from.
#[must_use]
pub fn somewhere() -> String {
    let [a, b, c] = Entropy::System.bytes::<3>();
    format!("10.{a}.{b}.{c}")
}

impl Visitor {
    /// At that gateway, from somewhere.
    #[must_use]
    pub fn new(gateway: &Gateway) -> Self {
        Self { gateway: gateway.clone(), place: somewhere() }
    }

    /// Somebody else, somewhere else.
    #[must_use]
    pub fn another(&self) -> Self {
        Self::new(&self.gateway)
    }

    #[must_use]
    pub fn at(&self, gateway: &Gateway) -> Self {
        Self { gateway: gateway.clone(), ..self.clone() }
    }

    #[must_use]
    pub fn from(&self, place: &str) -> Self {
        Self { place: place.to_owned(), ..self.clone() }
    }

    pub async fn post(&self, target: &str, body: &Value) -> Answer {
        ask(self, "POST", target, body).await
    }

    /// With a token that came from anywhere.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Session {
        Session { token: token.to_owned(), visitor: self.clone() }
    }
}

impl Caller for Visitor {
    fn wire(&self, method: &str, target: &str, body: &Value, key: Option<&str>) -> Wire {
        let mut wire = Wire::new(self.gateway.address, method, target)
            .header("x-forwarded-for", &self.place)
            .header("user-agent", "beem-tests");
        self.gateway.url.trim_start_matches("http://").clone_into(&mut wire.host);
        if let Some(key) = key {
            wire = wire.header("idempotency-key", key);
        }
        if body.is_null() {
            return wire;
        }
        wire.header("content-type", "application/json").with_body(body.to_string())
    }

    fn moved(&self, gateway: &Gateway) -> Box<dyn Caller> {
        Box::new(self.at(gateway))
    }
}

/// A person who has signed in.
#[derive(Clone, Debug)]
pub struct Session {
    pub token: String,
    pub visitor: Visitor,
}

impl Session {
    pub async fn get(&self, target: &str) -> Answer {
        ask(self, "GET", target, &Value::Null).await
    }

    pub async fn post(&self, target: &str, body: &Value) -> Answer {
        ask(self, "POST", target, body).await
    }

    pub async fn patch(&self, target: &str, body: &Value) -> Answer {
        ask(self, "PATCH", target, body).await
    }

    pub async fn delete(&self, target: &str) -> Answer {
        ask(self, "DELETE", target, &Value::Null).await
    }

    /// Waits until it is refused with that code: a gateway may go by what was true half a second ago.
    pub async fn gone(&self, code: &str) {
        let what = format!("{code} everywhere");
        crate::eventually(&what, || async {
            let answer = self.get(crate::people::ME).await;
            (answer.code() == code).then_some(())
        })
        .await;
    }

    /// The same session at another gateway.
    #[must_use]
    pub fn at(&self, gateway: &Gateway) -> Self {
        Self { visitor: self.visitor.at(gateway), ..self.clone() }
    }

    /// The same session from elsewhere.
    #[must_use]
    pub fn from(&self, place: &str) -> Self {
        Self { visitor: self.visitor.from(place), ..self.clone() }
    }
}

impl Caller for Session {
    fn wire(&self, method: &str, target: &str, body: &Value, key: Option<&str>) -> Wire {
        self.visitor.wire(method, target, body, key).header("authorization", format!("Bearer {}", self.token))
    }

    fn moved(&self, gateway: &Gateway) -> Box<dyn Caller> {
        Box::new(self.at(gateway))
    }
}

/// A client and a person at the same time, which nobody is.
#[must_use]
pub fn both(creds: &Creds, session: &Session, target: &str) -> Wire {
    let client = Client { creds: creds.clone(), gateway: session.visitor.gateway.clone() };
    let wire = client.forge("GET", target).keyed(&unique()).sign();
    wire.header("authorization", format!("Bearer {}", session.token))
}
