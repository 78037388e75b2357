//! The one thing hooks asks of identity: who operates an account's hooks. It stands for identity, whose own tests say that
//! it answers so; the contract and the guard are the real ones.

use beem_clock::Clock;
use beem_ids::AccountId;
use beem_link::LocalService;
use beem_proto::identity::v1 as wire;
use beem_proto::identity::v1::directory_server::{Directory, DirectoryServer};
use beem_runtime::guarded;
use beem_servicetest::guard_settings;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// Who operates hooks, by account; nobody before it is told. Cheap to clone.
#[derive(Clone, Default)]
pub struct Operators {
    accounts: Arc<Mutex<BTreeMap<String, Vec<wire::Operator>>>>,
    asked: Arc<Mutex<Vec<wire::ListOperatorsRequest>>>,
}

impl Operators {
    /// From now on, by their e-mail addresses.
    pub fn set(&self, account: AccountId, emails: &[&str]) {
        let operators = emails.iter().map(|email| wire::Operator {
            email: (*email).to_owned(),
            first_name: "Ada".to_owned(),
            last_name: "Lovelace".to_owned(),
        });
        self.accounts.lock().unwrap().insert(account.to_string(), operators.collect());
    }

    /// What it was asked.
    pub fn asked(&self) -> Vec<wire::ListOperatorsRequest> {
        self.asked.lock().unwrap().clone()
    }

    /// Behind identity's guard.
    pub fn served(&self, clock: &Clock) -> LocalService {
        let routes = Routes::new(DirectoryServer::new(self.clone()));
        guarded(routes, guard_settings("identity", clock))
    }
}

type Answered<T> = Result<Response<T>, Status>;

macro_rules! never_asked {
    ($($name:ident($asked:ident) -> $answer:ident;)+) => {
        #[tonic::async_trait]
        impl Directory for Operators {
            async fn list_operators(
                &self,
                request: Request<wire::ListOperatorsRequest>,
            ) -> Answered<wire::ListOperatorsResponse> {
                let asked = request.into_inner();
                let operators = self.accounts.lock().unwrap().get(&asked.account_id).cloned();
                self.asked.lock().unwrap().push(asked);
                Ok(Response::new(wire::ListOperatorsResponse { operators: operators.unwrap_or_default() }))
            }

            $(async fn $name(&self, _: Request<wire::$asked>) -> Answered<wire::$answer> {
                Err(Status::unimplemented("hooks does not ask this"))
            })+
        }
    };
}

never_asked! {
    get_client_credential(GetClientCredentialRequest) -> Credential;
    get_session(GetSessionRequest) -> SessionCredential;
    report_use(ReportUseRequest) -> ReportUseResponse;
    create_account(CreateAccountRequest) -> CreateAccountResponse;
    invite_owner(InviteOwnerRequest) -> InviteOwnerResponse;
    reseal_secrets(ResealSecretsRequest) -> ResealSecretsResponse;
    list_accounts(ListAccountsRequest) -> ListAccountsResponse;
    get_installation(GetInstallationRequest) -> Installation;
}
