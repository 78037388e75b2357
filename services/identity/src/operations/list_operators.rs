//! ListOperators: who of an account is to be told that something wants looking after, for the services that notice it.

use super::Operations;
use crate::domain::User;
use crate::store;
use beem_database::page::{Page, PageQuery};
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, PrincipalId};
use beem_proto::identity::v1 as wire;
use beem_roles::Role;

/// Users in a page: as many as authz answers for at a time.
const PAGE: u32 = 500;
/// Pages at most. Beyond that nobody is told by mail one by one.
const MOST_PAGES: usize = 4;

impl Operations {
    /// # Errors
    /// `not-found` for the account; `validation-failed` for what is no role; `unavailable` or `deadline` when authz is away.
    pub async fn list_operators(
        &self,
        asked: &wire::ListOperatorsRequest,
    ) -> Result<wire::ListOperatorsResponse> {
        let account: AccountId = asked.account_id.parse().map_err(|_| Fault::not_found("account"))?;
        let role = Role::parse(&asked.role).ok_or_else(|| Fault::field("role", "no such role"))?;
        store::accounts::get(self.db.read(), account).await?;
        let mut operators = Vec::new();
        let mut page_token = String::new();
        for _ in 0..MOST_PAGES {
            let query = PageQuery { max: Some(PAGE), page_token: &page_token, offset: None, order: "asc" };
            let page = Page::parse(query, "ListOperators", account.0.as_bytes())?;
            let (users, next) = store::users::list(self.db.read(), account, &page).await?;
            operators.extend(self.holding(role, account, users).await?);
            page_token = next;
            if page_token.is_empty() {
                return Ok(wire::ListOperatorsResponse { operators });
            }
        }
        tracing::warn!(%account, "an account has more users than are looked through for its operators");
        Ok(wire::ListOperatorsResponse { operators })
    }

    /// Those of the users who have activated, are enabled and hold the role.
    async fn holding(&self, role: Role, account: AccountId, users: Vec<User>) -> Result<Vec<wire::Operator>> {
        let active: Vec<User> = users.into_iter().filter(|user| user.activated).collect();
        let ids: Vec<PrincipalId> = active.iter().map(|user| user.id).collect();
        let standings = self.means.authz.standings(account, &ids).await?;
        let holding = active.iter().filter(|user| {
            standings.get(&user.id).is_some_and(|standing| standing.enabled && standing.roles.has(role))
        });
        Ok(holding.map(operator).collect())
    }
}

fn operator(user: &User) -> wire::Operator {
    wire::Operator {
        email: user.email.as_str().to_owned(),
        first_name: user.first_name.to_string(),
        last_name: user.last_name.to_string(),
    }
}
