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
mod list_operators;
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
mod under_way;
mod update_account;
mod update_client;
mod update_profile;
mod update_user;
mod user_view;
mod view;

use crate::domain::{Installation, SessionLife};
use crate::grpc::convert;
use crate::passwords::Passwords;
use crate::peers::Authz;
use crate::settings::IdentitySettings;
use beem_caller::Actor;
use beem_database::Database;
use beem_database::claims::{Outcome, RequestKey, fingerprint};
use beem_database::sagas::{Saga, Sagas};
use beem_fault::{Code, Fault, Result};
use beem_mail::MailQueue;
use beem_proto::AnswerJson;
use beem_sealing::Sealing;
use change::Target;
use prost::Message as _;
use std::sync::Arc;
use std::time::Duration;
use under_way::{Entered, UnderWay};

pub use change_password::CHANGE_PASSWORD;
pub use create_client::CREATE_CLIENT;
pub use create_user::CREATE_USER;
pub use delete_client::DELETE_CLIENT;
pub use delete_user::DELETE_USER;
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
    /// Clients as GetClient answers them, for events.
    pub json: AnswerJson,
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
        json: AnswerJson,
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
    under_way: UnderWay,
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
            Arc::new(change_password::ChangePassword(means.clone())),
            Arc::new(renew_second_factor::RenewSecondFactor(means.clone())),
            Arc::new(update_account::UpdateAccount(means.clone())),
            Arc::new(create_account::CreateAccount(means.clone())),
        ];
        Self { sagas: Sagas::new(db.clone(), kinds), db, means, under_way: UnderWay::default(), installation }
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
        // Before there is a claim: an actor who asks too much at once leaves nothing behind either.
        let _entered = match self.check(rpc, actor, request).await.and_then(|t| self.let_in(rpc, t, actor)) {
            Ok(entered) => entered,
            Err(fault) => return Outcome { result: Err(fault), replayed: false },
        };
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
    /// What can be said of a request without looking at anything stored, and what it is to change, if that is there yet.
    async fn check(&self, rpc: &'static str, actor: &Actor, bytes: &[u8]) -> Result<Option<Target>> {
        if actor.request_key.is_empty() {
            return Err(Fault::internal("a write came without a request key"));
        }
        check_size(bytes)?;
        let own = Target::User(actor.principal);
        let target = match rpc {
            CREATE_CLIENT => return convert::new_client(&request(bytes)?).map(|_| None),
            CREATE_USER => return create_user::parse(bytes).map(|_| None),
            UPDATE_CLIENT => Target::Client(update_client::parse(bytes)?.0),
            ROTATE_CLIENT_KEY => Target::Client(rotate_client_key::parse(bytes)?.0),
            DELETE_CLIENT => Target::Client(delete_client::parse(bytes)?),
            UPDATE_USER => Target::User(update_user::parse(bytes)?.0),
            DELETE_USER => Target::User(delete_user::parse(bytes)?),
            RESEND_INVITATION => Target::User(resend_invitation::parse(bytes)?),
            RESET_SECOND_FACTOR => Target::User(reset_second_factor::parse(bytes)?),
            CHANGE_PASSWORD => change_password::parse(bytes).map(|_| own)?,
            RENEW_SECOND_FACTOR => renew_second_factor::parse(bytes).map(|_| own)?,
            UPDATE_ACCOUNT => {
                let parsed = update_account::parse(actor, bytes);
                if let Err(refusal) = &parsed {
                    let trail = update_account::trail(actor);
                    change::refused_at_once(&self.db, &trail, refusal).await?;
                }
                parsed.map(|_| Target::Account(actor.account))?
            }
            _ => return Err(Fault::internal(format!("{rpc} is no write of an actor"))),
        };
        Ok(Some(target))
    }

    /// Lets a change of the target in, for as long as what this gives is kept.
    fn let_in(&self, rpc: &str, target: Option<Target>, actor: &Actor) -> Result<Option<Entered>> {
        let key = format!("{rpc} {}", actor.request_key);
        target.map(|t| self.under_way.enter(t, actor.principal, key)).transpose()
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
