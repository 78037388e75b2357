//! A change of a standing, in two halves. Whatever shrinks access is applied when the change is prepared, whatever grows it
//! only when it is committed: between the two lies the caller's own work (a new key stored, a network list written), and
//! a crash in the middle must leave less access, never more.
//!
//! What was prepared is a *growth*: a difference, not a state, so that changes which cross do not undo each other. They
//! have an order, that of their preparation. A later one wins over an earlier one that is still open: it takes out of the
//! earlier growth every role it does not name, an enabling when it disables, and all of it when it deletes. So a shrink
//! that was answered is never undone by a growth that was asked for before it.

use super::standing::deleted;
use super::{Behind, GrantPolicy, Granter, Standing};
use beem_caller::PrincipalKind;
use beem_fault::{Code, Fault, Result};
use beem_ids::PrincipalId;
use beem_roles::RoleSet;

/// What is to become of a standing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change {
    /// The whole new set.
    pub roles: Option<RoleSet>,
    pub enabled: Option<bool>,
    pub delete: bool,
    /// A new key.
    pub rekey: bool,
    /// A wider network list, or another way to sign in.
    pub take_over: bool,
    /// A narrower network list.
    pub credential_change: bool,
    /// Ended sessions, another password or second factor: one's own too.
    pub end_sessions: bool,
    /// A user has to activate anew; says nothing about a client.
    pub deactivate: bool,
}

impl Change {
    fn touches_credentials(&self) -> bool {
        self.rekey || self.take_over || self.credential_change || self.end_sessions
    }

    /// What no principal does to itself. Renewing its own key and ending its own sessions are not in here.
    fn is_for_others(&self) -> bool {
        self.roles.is_some()
            || self.enabled.is_some()
            || self.delete
            || self.take_over
            || self.credential_change
            || self.deactivate
    }
}

/// What a change adds, once it is committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Growth {
    pub roles: RoleSet,
    pub enable: bool,
}

impl Growth {
    /// What is left of this open growth when a later change is prepared.
    #[must_use]
    pub fn outlasting(self, later: &Change) -> Self {
        if later.delete {
            return Self::default();
        }
        Self {
            roles: later.roles.map_or(self.roles, |named| self.roles.both(named)),
            enable: self.enable && later.enabled != Some(false),
        }
    }
}

/// A change that was judged and allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// The standing from now on; the same as before when nothing shrank.
    pub standing: Standing,
    pub growth: Growth,
}

/// What else a change is judged by: how things stand in the account.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    pub policy: GrantPolicy,
    /// The roles in growths of the target that are prepared and not yet committed.
    pub open: RoleSet,
    /// Another user operator of the account, if possible one who [`Standing::stands_in_for`] the target.
    pub other_operator: Option<&'a Standing>,
    /// Who stands behind the granter.
    pub behind: &'a Behind,
}

/// Judges the whole of a change.
///
/// # Errors
/// `client-deleted` or `user-deleted` (deleting again is fine and changes nothing), `own-principal`, `role-not-held`, `last-operator`.
pub fn prepare(
    target: &Standing,
    change: &Change,
    granter: &Granter,
    around: &Circumstances<'_>,
) -> Result<Prepared> {
    if target.deleted {
        let again = change.delete.then(|| Prepared { standing: target.clone(), growth: Growth::default() });
        return again.ok_or_else(|| deleted(target.kind));
    }
    let own = granter.id() == Some(target.principal);
    if own && change.is_for_others() {
        let detail = "nobody changes their own roles, networks or enabled flag";
        return Err(Fault::new(Code::OwnPrincipal, detail));
    }
    let growth = growth_of(target, change);
    granter.must_hold(needed(target, change, growth, around.open, own), around.policy)?;
    // Who made a principal may still be stopped by it; no policy waives this.
    let raises = growth != Growth::default() || change.take_over || change.rekey;
    if !own && raises && around.behind.has(target.principal) {
        let detail = "nobody raises themselves, not through another principal either";
        return Err(Fault::new(Code::OwnPrincipal, detail));
    }
    let standing = shrunk(target, change, granter);
    let replaced = around.other_operator.is_some_and(|other| other.stands_in_for(target));
    if target.is_user_operator() && !standing.is_user_operator() && !replaced {
        return Err(Fault::new(
            Code::LastOperator,
            "the account keeps an enabled user with layer1:role:user:operator who can sign in",
        ));
    }
    Ok(Prepared { standing, growth })
}

fn growth_of(target: &Standing, change: &Change) -> Growth {
    if change.delete {
        return Growth::default();
    }
    Growth {
        roles: change.roles.unwrap_or_default().minus(target.roles),
        enable: change.enabled == Some(true) && !target.enabled,
    }
}

/// What the granter has to hold. Who gets hold of a principal gets hold of all its roles, also of those that are on their
/// way to it: without `open`, a rekey between the two halves of another's grant would gain what the rekeyer never held.
/// Its own key a principal may renew while a grant is on its way.
fn needed(target: &Standing, change: &Change, growth: Growth, open: RoleSet, own: bool) -> RoleSet {
    if growth.enable || change.take_over || (change.rekey && !own) {
        target.roles.plus(growth.roles).plus(open)
    } else {
        growth.roles
    }
}

fn shrunk(target: &Standing, change: &Change, granter: &Granter) -> Standing {
    let mut after = target.clone();
    if let Some(named) = change.roles {
        after.roles = target.roles.both(named);
    }
    after.enabled = target.enabled && change.enabled != Some(false);
    after.deleted = change.delete;
    after.active = target.active && !(change.deactivate && target.kind == PrincipalKind::User);
    if (change.rekey || change.take_over) && granter.id() != Some(target.principal) {
        after.rekeyed_by = granter.id();
    }
    if after != *target || change.touches_credentials() {
        after.version = target.version.saturating_add(1);
    }
    if change.touches_credentials() {
        after.credential_version = after.version;
    }
    after
}

/// Applies what is left of a growth to the standing as it is now; None when that changes nothing, as on a deleted one.
#[must_use]
pub fn commit(current: &Standing, growth: Growth, granter: Option<PrincipalId>) -> Option<Standing> {
    let mut after = current.clone();
    after.roles = current.roles.plus(growth.roles);
    after.enabled = current.enabled || growth.enable;
    if current.deleted || after == *current {
        return None;
    }
    if after.roles != current.roles {
        after.granted_by = granter;
    }
    after.version = current.version.saturating_add(1);
    Some(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use beem_clock::{Entropy, Moment};
    use beem_ids::AccountId;
    use beem_roles::Role::{self, ClientOperator, LedgerViewer, PaymentApprover, UserOperator};

    fn set<const N: usize>(roles: [Role; N]) -> RoleSet {
        roles.into_iter().collect()
    }

    /// Always the same account; another principal for another seed.
    fn standing(seed: u64, kind: PrincipalKind, roles: RoleSet) -> Standing {
        let at = Moment::from_unix_s(1_700_000_000);
        Standing {
            principal: PrincipalId::draw(at, &Entropy::seeded(seed)),
            account: AccountId::draw(at, &Entropy::seeded(0)),
            kind,
            enabled: true,
            deleted: false,
            active: true,
            roles,
            version: 4,
            credential_version: 2,
            created_by: None,
            rekeyed_by: None,
            granted_by: None,
        }
    }

    fn client(seed: u64, roles: RoleSet) -> Standing {
        standing(seed, PrincipalKind::Client, roles)
    }

    fn judge(target: &Standing, change: &Change, by: &Standing, open: RoleSet) -> Result<Prepared> {
        let granter = Granter::principal(target.account, Some(by.clone()))?;
        prepare(target, change, &granter, &Circumstances { open, ..alone(&Behind::of(&granter)) })
    }

    /// Nothing open, nobody else there.
    fn alone(behind: &Behind) -> Circumstances<'_> {
        let (policy, open) = (GrantPolicy::Held, RoleSet::EMPTY);
        Circumstances { policy, open, other_operator: None, behind }
    }

    fn refused(target: &Standing, change: &Change, by: &Standing) -> Code {
        judge(target, change, by, RoleSet::EMPTY).unwrap_err().code
    }

    #[test]
    fn what_shrinks_is_applied_and_what_grows_is_kept() {
        let target = client(1, set([LedgerViewer, PaymentApprover]));
        let by = client(2, set([ClientOperator, UserOperator]));
        let change = Change { roles: Some(set([LedgerViewer, UserOperator])), ..Change::default() };
        let Prepared { standing, growth } = judge(&target, &change, &by, RoleSet::EMPTY).unwrap();
        assert_eq!(standing.roles, set([LedgerViewer]));
        assert_eq!((standing.version, standing.credential_version), (5, 2));
        assert_eq!(growth, Growth { roles: set([UserOperator]), enable: false });
        let after = commit(&standing, growth, Some(by.principal)).unwrap();
        assert_eq!((after.roles, after.version), (set([LedgerViewer, UserOperator]), 6));
        assert_eq!(after.granted_by, Some(by.principal));
    }

    #[test]
    fn adding_takes_what_is_added_and_removing_takes_nothing() {
        let target = client(1, set([PaymentApprover]));
        let by = client(2, set([ClientOperator]));
        let add = Change { roles: Some(set([PaymentApprover, LedgerViewer])), ..Change::default() };
        let fault = judge(&target, &add, &by, RoleSet::EMPTY).unwrap_err();
        assert_eq!(fault.code, Code::RoleNotHeld);
        assert_eq!(fault.detail, "the caller does not hold layer1:role:ledger:viewer");
        let remove = Change { roles: Some(RoleSet::EMPTY), enabled: Some(false), ..Change::default() };
        assert!(judge(&target, &remove, &by, RoleSet::EMPTY).is_ok());
        let any = Granter::Principal(by.clone());
        let behind = Behind::of(&any);
        let around = Circumstances { policy: GrantPolicy::Any, ..alone(&behind) };
        assert!(prepare(&target, &add, &any, &around).is_ok());
        let narrow = Change { credential_change: true, ..Change::default() };
        let narrowed = judge(&target, &narrow, &by, RoleSet::EMPTY).unwrap().standing;
        assert_eq!((narrowed.version, narrowed.credential_version), (5, 5));
    }

    #[test]
    fn taking_over_takes_every_role_of_the_target_and_those_on_their_way() {
        let disabled = Standing { enabled: false, ..client(1, set([PaymentApprover])) };
        let by = client(2, set([ClientOperator]));
        let holder = client(3, set([ClientOperator, PaymentApprover]));
        for change in [
            Change { rekey: true, ..Change::default() },
            Change { take_over: true, ..Change::default() },
            Change { enabled: Some(true), ..Change::default() },
        ] {
            assert_eq!(refused(&disabled, &change, &by), Code::RoleNotHeld);
            assert!(judge(&disabled, &change, &holder, RoleSet::EMPTY).is_ok());
            let fault = judge(&disabled, &change, &holder, set([LedgerViewer])).unwrap_err();
            assert_eq!(fault.detail, "the caller does not hold layer1:role:ledger:viewer");
        }
    }

    #[test]
    fn nobody_changes_their_own_access_but_everybody_renews_their_key() {
        let own = client(1, RoleSet::ALL);
        for change in [
            Change { roles: Some(RoleSet::EMPTY), ..Change::default() },
            Change { enabled: Some(false), ..Change::default() },
            Change { delete: true, ..Change::default() },
            Change { take_over: true, ..Change::default() },
            Change { credential_change: true, ..Change::default() },
            Change { deactivate: true, ..Change::default() },
        ] {
            assert_eq!(refused(&own, &change, &own), Code::OwnPrincipal);
        }
        let given = Standing { rekeyed_by: Some(client(2, RoleSet::ALL).principal), ..own.clone() };
        let renewed =
            judge(&given, &Change { rekey: true, ..Change::default() }, &given, RoleSet::EMPTY).unwrap();
        assert_eq!(renewed.standing.rekeyed_by, given.rekeyed_by, "who gave it a key is not forgotten");
        assert_eq!((renewed.standing.version, renewed.standing.credential_version), (5, 5));
    }

    #[test]
    fn who_stands_behind_another_is_not_raised_by_it_and_may_be_lowered() {
        let maker = standing(1, PrincipalKind::User, set([LedgerViewer, PaymentApprover]));
        let maker = Standing { enabled: false, ..maker };
        let by = Standing { created_by: Some(maker.principal), ..client(2, RoleSet::ALL) };
        let more = set([LedgerViewer, PaymentApprover, UserOperator]);
        for raise in [
            Change { roles: Some(more), ..Change::default() },
            Change { enabled: Some(true), ..Change::default() },
            Change { take_over: true, ..Change::default() },
            Change { rekey: true, ..Change::default() },
        ] {
            let fault = judge(&maker, &raise, &by, RoleSet::EMPTY).unwrap_err();
            assert_eq!(fault.code, Code::OwnPrincipal);
            assert_eq!(fault.detail, "nobody raises themselves, not through another principal either");
            assert!(judge(&maker, &raise, &client(3, RoleSet::ALL), RoleSet::EMPTY).is_ok());
            let granter = Granter::Principal(by.clone());
            let behind = Behind::of(&granter);
            let any = Circumstances { policy: GrantPolicy::Any, ..alone(&behind) };
            assert_eq!(prepare(&maker, &raise, &granter, &any).unwrap_err().code, Code::OwnPrincipal);
        }
        for lower in [
            Change { roles: Some(set([LedgerViewer])), ..Change::default() },
            Change { enabled: Some(false), ..Change::default() },
            Change { credential_change: true, end_sessions: true, ..Change::default() },
            Change { delete: true, roles: Some(more), ..Change::default() },
        ] {
            assert!(judge(&maker, &lower, &by, RoleSet::EMPTY).is_ok());
        }
        assert!(judge(&by, &Change { rekey: true, ..Change::default() }, &by, RoleSet::EMPTY).is_ok());
    }

    #[test]
    fn only_a_user_is_to_activate_anew() {
        let by = client(2, RoleSet::EMPTY);
        let anew = Change { deactivate: true, ..Change::default() };
        let owner = standing(1, PrincipalKind::User, set([UserOperator]));
        let after = judge(&owner, &anew, &by, RoleSet::EMPTY).unwrap().standing;
        assert_eq!(after, Standing { active: false, version: 5, ..owner.clone() }, "though it is the last");
        assert_eq!(judge(&after, &anew, &by, RoleSet::EMPTY).unwrap().standing, after);
        assert!(!after.stands_in_for(&owner));
        let client = client(3, set([UserOperator]));
        assert_eq!(judge(&client, &anew, &by, RoleSet::EMPTY).unwrap().standing, client);
        // With the loss of the operator role it is refused as any other loss.
        let off = Change { enabled: Some(false), ..anew };
        assert_eq!(refused(&owner, &off, &by), Code::LastOperator);
    }

    #[test]
    fn everybody_ends_their_own_sessions() {
        let own = standing(1, PrincipalKind::User, RoleSet::ALL);
        let by = client(2, RoleSet::EMPTY);
        let end = Change { end_sessions: true, ..Change::default() };
        for granter in [&own, &by] {
            let after = judge(&own, &end, granter, set([PaymentApprover])).unwrap().standing;
            assert_eq!(after, Standing { version: 5, credential_version: 5, ..own.clone() });
        }
    }

    #[test]
    fn only_one_that_is_there_is_activated_and_no_version_counts_it() {
        let active = standing(1, PrincipalKind::User, set([UserOperator]));
        let invited = Standing { active: false, ..active.clone() };
        assert_eq!(invited.activated().unwrap(), Some(active.clone()));
        assert_eq!(active.activated().unwrap(), None);
        let gone = Standing { deleted: true, ..invited };
        assert_eq!(gone.activated().unwrap_err().code, Code::UserDeleted);
    }

    #[test]
    fn a_deleted_one_stays_deleted() {
        let by = client(2, RoleSet::ALL);
        let delete =
            Change { delete: true, roles: Some(RoleSet::ALL), enabled: Some(true), ..Change::default() };
        let Prepared { standing, growth } =
            judge(&client(1, set([LedgerViewer])), &delete, &by, RoleSet::EMPTY).unwrap();
        assert!(standing.deleted && growth == Growth::default());
        assert_eq!(
            refused(&standing, &Change { rekey: true, ..Change::default() }, &by),
            Code::ClientDeleted
        );
        assert_eq!(judge(&standing, &delete, &by, RoleSet::EMPTY).unwrap().standing, standing);
        assert_eq!(commit(&standing, Growth { roles: RoleSet::ALL, enable: true }, None), None);
    }

    #[test]
    fn the_last_user_operator_stays() {
        let last = standing(1, PrincipalKind::User, set([UserOperator]));
        let by = client(2, set([UserOperator]));
        for change in [
            Change { roles: Some(RoleSet::EMPTY), ..Change::default() },
            Change { enabled: Some(false), ..Change::default() },
            Change { delete: true, ..Change::default() },
        ] {
            assert_eq!(refused(&last, &change, &by), Code::LastOperator);
            let granter = Granter::Principal(by.clone());
            let behind = Behind::of(&granter);
            let beside = |lost: &Standing, other: &Standing| {
                let around = Circumstances { other_operator: Some(other), ..alone(&behind) };
                prepare(lost, &change, &granter, &around).is_ok()
            };
            let other = standing(4, PrincipalKind::User, set([UserOperator, LedgerViewer]));
            assert!(beside(&last, &other));
            // One who is only invited may go as long as anybody stays, and replaces nobody who can sign in.
            let (invited, too) =
                (Standing { active: false, ..last.clone() }, Standing { active: false, ..other.clone() });
            assert!(!beside(&last, &too));
            assert!(beside(&invited, &too) && beside(&invited, &other));
            assert_eq!(refused(&invited, &change, &by), Code::LastOperator);
        }
        let client = client(3, set([UserOperator]));
        assert!(judge(&client, &Change { delete: true, ..Change::default() }, &by, RoleSet::EMPTY).is_ok());
    }

    #[test]
    fn what_changes_nothing_counts_nothing() {
        let target = client(1, set([LedgerViewer]));
        let same = Change { roles: Some(target.roles), enabled: Some(true), ..Change::default() };
        let Prepared { standing, growth } =
            judge(&target, &same, &client(2, RoleSet::EMPTY), RoleSet::EMPTY).unwrap();
        assert_eq!((&standing, growth), (&target, Growth::default()));
        assert_eq!(commit(&standing, growth, None), None);
    }

    #[test]
    fn a_later_change_takes_from_an_earlier_growth() {
        let open = Growth { roles: set([LedgerViewer, PaymentApprover]), enable: true };
        let left = |later: Change| open.outlasting(&later);
        assert_eq!(left(Change { rekey: true, enabled: Some(true), ..Change::default() }), open);
        assert_eq!(
            left(Change { enabled: Some(false), ..Change::default() }),
            Growth { enable: false, ..open }
        );
        let named = Change { roles: Some(set([LedgerViewer, UserOperator])), ..Change::default() };
        assert_eq!(left(named), Growth { roles: set([LedgerViewer]), enable: true });
        assert_eq!(left(Change { delete: true, ..Change::default() }), Growth::default());
    }
}
