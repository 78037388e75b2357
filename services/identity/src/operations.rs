//! One RPC a file: parse, load, decide, commit, announce. Writes are sagas, since almost each changes authz too; what
//! they share stands in [`change`].

mod activate;
mod change;
mod change_password;
mod confirm_activation;
mod confirm_password_reset;
mod create_account;
mod create_client;
mod create_user;
mod delete_client;
mod delete_user;
mod end_session;
mod get_account;
mod get_client;
mod get_client_credential;
mod get_profile;
mod get_session;
mod get_user;
mod invite_owner;
mod kept;
mod list_accounts;
mod list_clients;
mod list_sessions;
mod list_users;
mod pass_second_factor;
mod people;
mod principal;
mod renew_second_factor;
mod report_use;
mod request_password_reset;
mod reseal_secrets;
mod resend_invitation;
mod reset_second_factor;
mod rotate_client_key;
mod sign_in;
mod trail;
mod update_account;
mod update_client;
mod update_profile;
mod update_user;
mod user_view;
mod view;

use crate::domain::{Installation, SessionLife};
use crate::grpc::convert;
use crate::grpc::json::ClientJson;
use crate::passwords::Passwords;
use crate::peers::Authz;
use crate::settings::IdentitySettings;
use beem_caller::Actor;
use beem_database::Database;
use beem_database::claims::{Outcome, RequestKey, fingerprint};
use beem_database::sagas::{Saga, Sagas};
use beem_fault::{Code, Fault, Result};
use beem_mail::MailQueue;
use beem_sealing::Sealing;
use prost::Message as _;
use std::sync::Arc;
use std::time::Duration;

pub use change_password::CHANGE_PASSWORD;
pub use create_client::CREATE_CLIENT;
pub use create_user::CREATE_USER;
pub use delete_client::DELETE_CLIENT;
pub use delete_user::DELETE_USER;
pub use end_session::{END_CURRENT_SESSION, END_SESSION};
pub use renew_second_factor::RENEW_SECOND_FACTOR;
pub use resend_invitation::RESEND_INVITATION;
pub use reset_second_factor::RESET_SECOND_FACTOR;
pub use rotate_client_key::ROTATE_CLIENT_KEY;
pub use update_account::UPDATE_ACCOUNT;
pub use update_client::UPDATE_CLIENT;
pub use update_user::UPDATE_USER;
pub use view::ClientView;

/// A saga that nobody waits for any more gives one run this long.
const RESUMED_RUN: Duration = Duration::from_secs(10);

/// The largest request of a write, in bytes of its message: many times what the fields may hold. Refused before the claim,
/// which keeps a request for as long as its saga runs.
const LARGEST_REQUEST: usize = 64 * 1024;

/// What the sagas work with. Cheap to clone.
#[derive(Clone)]
pub struct Means {
    pub authz: Authz,
    pub json: ClientJson,
    pub sealing: Sealing,
    pub mail: MailQueue,
    pub passwords: Passwords,
    /// How long sessions are good.
    pub life: SessionLife,
    pub base_currency: String,
    /// How long a change waits for the one before it.
    pub change_patience: Duration,
}

impl Means {
    #[must_use]
    pub fn new(
        authz: Authz,
        json: ClientJson,
        sealing: Sealing,
        mail: MailQueue,
        passwords: Passwords,
        settings: &IdentitySettings,
    ) -> Self {
        Self {
            authz,
            json,
            sealing,
            mail,
            passwords,
            life: settings.session_life(),
            base_currency: settings.base_currency.clone(),
            change_patience: Duration::from_secs(u64::from(settings.change_patience_s)),
        }
    }
}

/// Identity's operations. Cheap to clone.
#[derive(Clone)]
pub struct Operations {
    db: Database,
    means: Means,
    sagas: Sagas,
    installation: Installation,
}

impl Operations {
    #[must_use]
    pub fn new(db: Database, means: Means, installation: Installation) -> Self {
        let kinds: Vec<Arc<dyn Saga>> = vec![
            Arc::new(create_client::CreateClient(means.clone())),
            Arc::new(update_client::UpdateClient(means.clone())),
            Arc::new(rotate_client_key::RotateClientKey(means.clone())),
            Arc::new(delete_client::DeleteClient(means.clone())),
            Arc::new(create_user::CreateUser(means.clone())),
            Arc::new(update_user::UpdateUser(means.clone())),
            Arc::new(delete_user::DeleteUser(means.clone())),
            Arc::new(resend_invitation::ResendInvitation(means.clone())),
            Arc::new(reset_second_factor::ResetSecondFactor(means.clone())),
            Arc::new(end_session::EndSession(means.clone())),
            Arc::new(end_session::EndCurrentSession(means.clone())),
            Arc::new(change_password::ChangePassword(means.clone())),
            Arc::new(renew_second_factor::RenewSecondFactor(means.clone())),
            Arc::new(update_account::UpdateAccount(means.clone())),
            Arc::new(create_account::CreateAccount(means.clone())),
        ];
        Self { sagas: Sagas::new(db.clone(), kinds), db, means, installation }
    }

    /// For the task that resumes them.
    #[must_use]
    pub fn sagas(&self) -> Sagas {
        self.sagas.clone()
    }

    /// For the task that hands the audit trail on.
    #[must_use]
    pub fn authz(&self) -> Authz {
        self.means.authz.clone()
    }

    #[must_use]
    pub const fn installation(&self) -> Installation {
        self.installation
    }

    /// Carries out a write of an actor under its request key: at most once, and every repeat gives the first answer.
    /// `request` is the encoded message, `rpc` one of the constants above.
    ///
    /// A request that is malformed by itself is refused without using its key up and without a trace of it being stored
    /// (it may hold a private key, pasted by mistake): a repeat reads the same, so its answer is the same.
    pub async fn write(&self, rpc: &'static str, actor: &Actor, request: &[u8]) -> Outcome {
        if let Err(fault) = self.check(rpc, actor, request).await {
            return Outcome { result: Err(fault), replayed: false };
        }
        let key = RequestKey {
            principal: actor.principal.to_string(),
            rpc: rpc.to_owned(),
            key: actor.request_key.clone(),
            fingerprint: fingerprint(rpc, request),
        };
        let draw = || match rpc {
            CREATE_CLIENT | CREATE_USER => {
                create_client::Ids::draw(self.db.clock().now(), self.db.entropy()).to_json()
            }
            _ => serde_json::Value::Null,
        };
        let actor = actor.to_wire().encode_to_vec();
        self.sagas.run(&key, draw, request, &actor, beem_runtime::deadline(RESUMED_RUN)).await
    }
}

impl Operations {
    /// What can be said of a request without looking at anything stored.
    async fn check(&self, rpc: &'static str, actor: &Actor, bytes: &[u8]) -> Result<()> {
        if actor.request_key.is_empty() {
            return Err(Fault::internal("a write came without a request key"));
        }
        check_size(bytes)?;
        match rpc {
            CREATE_CLIENT => convert::new_client(&request(bytes)?).map(drop),
            UPDATE_CLIENT => update_client::parse(bytes).map(drop),
            ROTATE_CLIENT_KEY => rotate_client_key::parse(bytes).map(drop),
            DELETE_CLIENT => delete_client::parse(bytes).map(drop),
            CREATE_USER => create_user::parse(bytes).map(drop),
            UPDATE_USER => update_user::parse(bytes).map(drop),
            DELETE_USER => delete_user::parse(bytes).map(drop),
            RESEND_INVITATION => resend_invitation::parse(bytes).map(drop),
            RESET_SECOND_FACTOR => reset_second_factor::parse(bytes).map(drop),
            END_SESSION => end_session::parse(bytes).map(drop),
            END_CURRENT_SESSION => Ok(()),
            CHANGE_PASSWORD => change_password::parse(bytes).map(drop),
            RENEW_SECOND_FACTOR => renew_second_factor::parse(bytes).map(drop),
            UPDATE_ACCOUNT => {
                let parsed = update_account::parse(actor, bytes);
                if let Err(refusal) = &parsed {
                    let trail = update_account::trail(actor);
                    change::refused_at_once(&self.db, &trail, refusal).await?;
                }
                parsed.map(drop)
            }
            _ => Err(Fault::internal(format!("{rpc} is no write of an actor"))),
        }
    }
}

fn check_size(request: &[u8]) -> Result<()> {
    if request.len() <= LARGEST_REQUEST {
        return Ok(());
    }
    Err(Fault::new(Code::BodyTooLarge, format!("a request has at most {LARGEST_REQUEST} bytes")))
}

/// What a saga stored does not parse: a bug.
fn garbled(what: &str) -> Fault {
    Fault::internal(format!("a saga's {what} is garbled"))
}

/// The message a saga was started with.
fn request<M: prost::Message + Default>(payload: &[u8]) -> Result<M> {
    M::decode(payload).map_err(Fault::internal)
}
