//! CreateAccount: an account, its Owner, who is invited by InviteOwner, and a first client, both with all 15 roles, made by
//! the installation itself. Idempotent by effect key for ever: what was made under it stands in the account's row.

use super::change::{self, Target, Trail};
use super::create_client::Ids;
use super::{Means, Operations, garbled, request};
use crate::domain::{Account, BaseCurrency, Client, FeePayer, GrantPolicy, Name, User};
use crate::grpc::convert::{self, NewAccount};
use crate::peers::{self, NewStanding, Standing};
use crate::store;
use crate::store::accounts::Created;
use beem_caller::PrincipalKind;
use beem_database::Tx;
use beem_database::claims::{Outcome, RequestKey, fingerprint};
use beem_database::sagas::{Saga, SagaRun};
use beem_fault::{Fault, Result};
use beem_proto::identity::v1 as wire;
use beem_roles::RoleSet;
use beem_whitelist::Whitelist;
use futures::future::BoxFuture;
use prost::Message as _;

const CREATE_ACCOUNT: &str = "beem.identity.v1.Directory/CreateAccount";

/// Whose request keys these are: no principal's.
const INSTALLATION: &str = "installation";

impl Operations {
    /// Carries it out, or answers what was made under the key before, whatever else the request says.
    ///
    /// # Errors
    /// `validation-failed`; `unavailable` or `deadline` while authz is away, and then it is resumed.
    pub async fn create_account(&self, asked: &wire::CreateAccountRequest) -> Outcome {
        match self.made_or_key(asked).await {
            Err(fault) => Outcome { result: Err(fault), replayed: false },
            Ok((_, Some(made))) => Outcome { result: Ok(answer(&made).encode_to_vec()), replayed: true },
            Ok((key, None)) => {
                let draw = || Ids::draw(self.db.clock().now(), self.db.entropy()).to_json();
                let deadline = beem_runtime::deadline(super::RESUMED_RUN);
                self.sagas.run(&key, draw, &asked.encode_to_vec(), &[], deadline).await
            }
        }
    }

    async fn made_or_key(&self, asked: &wire::CreateAccountRequest) -> Result<(RequestKey, Option<Created>)> {
        super::check_size(&asked.encode_to_vec())?;
        let effect_key = convert::effect_key(&asked.effect_key)?;
        let key = RequestKey {
            principal: INSTALLATION.to_owned(),
            rpc: CREATE_ACCOUNT.to_owned(),
            key: asked.effect_key.clone(),
            // Of the key alone: the first request under it counts, whatever a repeat says.
            fingerprint: fingerprint(CREATE_ACCOUNT, asked.effect_key.as_bytes()),
        };
        let made = store::accounts::created_under(self.db.read(), &effect_key).await?;
        if made.is_none() {
            // Before the claim: a mistyped key must not use the effect key up.
            convert::new_account(asked)?;
        }
        Ok((key, made))
    }
}

/// Of what was made.
struct Standings {
    client: Standing,
    owner: Standing,
}

/// The saga.
pub struct CreateAccount(pub Means);

impl Saga for CreateAccount {
    fn rpc(&self) -> &'static str {
        CREATE_ACCOUNT
    }

    fn run<'a>(&'a self, run: &'a SagaRun) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let ids = Ids::of(run)?;
            let target = Target::Account(ids.account);
            let trail = Trail::of_installation(ids.account, "CreateAccount", target);
            change::carry_out(run, &trail, self.create(run, &trail, ids)).await
        })
    }
}

impl CreateAccount {
    async fn create(&self, run: &SagaRun, trail: &Trail, ids: Ids) -> Result<Vec<u8>> {
        let new = &convert::new_account(&request::<wire::CreateAccountRequest>(run.payload())?)?;
        let put = || async { self.0.authz.put_account(ids.account).await.map(|()| Vec::new()) };
        run.step("account", put).await?;
        let effect_key = run.effect_key("standing");
        let standing = NewStanding {
            effect_key: &effect_key,
            account: ids.account,
            principal: ids.principal,
            kind: PrincipalKind::Client,
            enabled: true,
            roles: RoleSet::ALL,
            actor: None,
        };
        let effect_key = run.effect_key("owner");
        let owner = NewStanding {
            effect_key: &effect_key,
            principal: ids.owner,
            kind: PrincipalKind::User,
            ..standing
        };
        let standings = &Standings {
            client: peers::decode(&run.step("standing", || self.0.authz.create_standing(&standing)).await?)?,
            owner: peers::decode(&run.step("owner", || self.0.authz.create_standing(&owner)).await?)?,
        };
        run.finish(|tx| Box::pin(self.write(tx, run, trail, ids, new, standings))).await
    }

    async fn write(
        &self,
        tx: &Tx<'_>,
        run: &SagaRun,
        trail: &Trail,
        ids: Ids,
        new: &NewAccount,
        standings: &Standings,
    ) -> Result<Vec<u8>> {
        let account = Account {
            id: ids.account,
            name: new.name.clone(),
            base_currency: BaseCurrency::parse(&self.0.base_currency)
                .ok_or_else(|| garbled("base currency"))?,
            grant_policy: GrantPolicy::Held,
            fee_payer: FeePayer::Merchant,
            owner_email: new.owner_email.clone(),
            created: tx.now(),
        };
        let client = Client {
            id: ids.principal,
            client_id: ids.client,
            account: ids.account,
            name: new.client_name.clone(),
            network: Whitelist::all(),
            key: new.client_key.clone(),
            retiring: None,
            credential_version: standings.client.credential_version,
            created_by: None,
            created: tx.now(),
            deleted: None,
        };
        let owner = User {
            id: ids.owner,
            account: ids.account,
            email: new.owner_email.clone(),
            first_name: Name::parse("Owner").map_err(Fault::internal)?,
            last_name: new.name.clone(),
            network: Whitelist::all(),
            activated: false,
            credential_version: standings.owner.credential_version,
            created_by: None,
            created: tx.now(),
            deleted: None,
            last_sign_in: None,
        };
        let Ids { account: id, principal, client: client_id, owner: owner_id } = ids;
        let made = Created { account: id, principal, client: client_id, owner: Some(owner_id) };
        store::accounts::insert(tx, &account, &new.effect_key, &made).await?;
        store::clients::insert(tx, &client).await?;
        store::users::insert(tx, &owner).await?;
        change::end_done(tx, run, trail, None, Some(account.record())).await?;
        Ok(answer(&made).encode_to_vec())
    }
}

fn answer(made: &Created) -> wire::CreateAccountResponse {
    wire::CreateAccountResponse {
        account_id: made.account.to_string(),
        client_principal_id: made.principal.to_string(),
        client_id: made.client.to_string(),
        owner_principal_id: made.owner.map(|id| id.to_string()).unwrap_or_default(),
    }
}
