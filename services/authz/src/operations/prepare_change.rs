//! PrepareChange: judges the whole of a change, applies what shrinks, keeps what grows for CommitChange.

use super::{Authz, Write, granter};
use crate::domain::{self, Behind, Change, Circumstances, Granter, Growth, Prepared, Standing};
use crate::store::{self, PreparedChange};
use crate::wire;
use beem_caller::PrincipalKind;
use beem_database::Tx;
use beem_database::claims::Outcome;
use beem_fault::Result;
use beem_ids::{AccountId, PrincipalId};
use beem_roles::RoleSet;
use prost::Message as _;

/// Who shall become what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PrepareChange {
    pub(crate) account: AccountId,
    pub(crate) principal: PrincipalId,
    /// None: the installation.
    pub(crate) actor: Option<PrincipalId>,
    pub(crate) change: Change,
}

pub(crate) async fn prepare_change(authz: &Authz, write: &Write, command: PrepareChange) -> Outcome {
    let effect_key = write.effect_key.as_str();
    let work = authz.once_on(write, command.principal, |tx| {
        Box::pin(async move {
            let standing = run(tx, &command, effect_key).await?;
            Ok(wire::standing(&standing).encode_to_vec())
        })
    });
    work.await
}

async fn run(tx: &Tx<'_>, command: &PrepareChange, effect_key: &str) -> Result<Standing> {
    let PrepareChange { account, principal, actor, change } = command;
    let policy = store::lock_account(tx, *account).await?;
    let target = store::lock_standing(tx, *account, *principal).await?;
    let granter = granter(tx, *account, *actor).await?;
    let open = store::open_growths(tx, *account, *principal).await?;
    let other_operator = match target.kind {
        PrincipalKind::User => store::another_user_operator(tx, &target).await?,
        PrincipalKind::Client => None,
    };
    let open_roles = open.iter().fold(RoleSet::EMPTY, |all, earlier| all.plus(earlier.growth.roles));
    let behind = behind(tx, *account, &granter).await?;
    let other_operator = other_operator.as_ref();
    let around = Circumstances { policy, open: open_roles, other_operator, behind: &behind };
    let prepared = domain::prepare(&target, change, &granter, &around)?;
    for earlier in &open {
        let left = earlier.growth.outlasting(change);
        if left != earlier.growth {
            store::narrow_open(tx, earlier, left).await?;
        }
    }
    let Prepared { standing, growth } = prepared;
    if standing != target {
        store::save(tx, &standing).await?;
    }
    if growth != Growth::default() {
        let effect_key = effect_key.to_owned();
        let kept =
            PreparedChange { effect_key, account: *account, principal: *principal, actor: *actor, growth };
        store::insert_prepared(tx, &kept).await?;
    }
    Ok(standing)
}

/// Under the account's lock, so that nobody is put behind anybody meanwhile.
async fn behind(tx: &Tx<'_>, account: AccountId, granter: &Granter) -> Result<Behind> {
    let mut behind = Behind::of(granter);
    while let Some(next) = behind.unread() {
        behind.read(store::standings(tx, account, &next).await?.values());
    }
    Ok(behind)
}
