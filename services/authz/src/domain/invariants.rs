//! The rules over any sequence of changes by anyone: a world of one account in memory, driven by random commands through
//! the same functions in the same order as the operations call them.

use super::{
    Behind, Change, Circumstances, GrantPolicy, Granter, Growth, NewStanding, Prepared, Standing, commit,
    create, prepare,
};
use beem_caller::PrincipalKind;
use beem_clock::{Entropy, Moment};
use beem_fault::Code;
use beem_ids::{AccountId, PrincipalId};
use beem_roles::{Role, RoleSet};
use proptest::prelude::*;
use std::collections::HashMap;

/// Instead of an actor: no rule is asked.
const INSTALLATION: usize = 6;

#[derive(Clone, Debug)]
enum Command {
    Create { actor: usize, user: bool, enabled: bool, active: bool, roles: u32 },
    Activate { target: usize },
    Prepare { actor: usize, target: usize, change: Change },
    Commit { which: usize },
}

/// A prepared change, and what was true when it was.
struct Open {
    target: usize,
    actor: PrincipalId,
    growth: Growth,
    actor_held: RoleSet,
    order: usize,
    done: bool,
}

/// What later changes have taken from a principal: the order of the last change that left a role out, or disabled it.
#[derive(Clone, Default)]
struct Taken {
    roles: HashMap<Role, usize>,
    enabled: usize,
}

/// By whose doing a principal is what it is, as the changes went by: who made it, keyed it last, gave it roles last.
#[derive(Clone, Copy, Default)]
struct Hands {
    made: Option<usize>,
    keyed: Option<usize>,
    gave: Option<usize>,
}

struct World {
    account: AccountId,
    entropy: Entropy,
    standings: Vec<Standing>,
    taken: Vec<Taken>,
    hands: Vec<Hands>,
    open: Vec<Open>,
    order: usize,
}

impl World {
    /// One owner, who is a user and holds everything.
    fn new() -> Self {
        let entropy = Entropy::seeded(1);
        let account = AccountId::draw(Moment::from_unix_ms(0), &entropy);
        let (standings, taken, hands, open) = (vec![], vec![], vec![], vec![]);
        let mut world = Self { account, entropy, standings, taken, hands, open, order: 1 };
        world.create(None, PrincipalKind::User, (true, false), RoleSet::ALL);
        world
    }

    /// By nobody: by the installation.
    fn create(&mut self, by: Option<usize>, kind: PrincipalKind, can: (bool, bool), roles: RoleSet) {
        let granter = by.map_or(Some(Granter::Installation), |by| self.granter(by));
        let Some(granter) = granter else { return };
        let (enabled, active) = can;
        let principal = PrincipalId::draw(Moment::from_unix_ms(0), &self.entropy);
        let new = NewStanding { account: self.account, principal, kind, enabled, active, roles };
        let Ok(standing) = create(&new, &granter, GrantPolicy::Held) else { return };
        if let Granter::Principal(by) = &granter {
            assert!(by.roles.holds(roles), "created with roles its maker does not hold");
        }
        assert!(standing.active || kind == PrincipalKind::User, "a client has nothing to activate");
        assert_eq!((standing.version, standing.credential_version), (1, 1));
        self.standings.push(standing);
        self.taken.push(Taken::default());
        self.hands.push(Hands { made: by, keyed: by, gave: by });
    }

    /// The walk as the operation does it.
    fn behind(&self, granter: &Granter) -> Behind {
        let mut behind = Behind::of(granter);
        while let Some(next) = behind.unread() {
            behind.read(self.standings.iter().filter(|s| next.contains(&s.principal)));
        }
        behind
    }

    /// Whether what `actor` does may be the doing of `whom`: told from what went by, not from the standings.
    fn is_hand_of(&self, actor: usize, whom: usize) -> bool {
        let mut reached = vec![false; self.hands.len()];
        reached[actor] = true;
        for _ in 0..self.hands.len() {
            for (at, Hands { made, keyed, gave }) in self.hands.iter().enumerate() {
                let is_client = self.standings[at].kind == PrincipalKind::Client;
                if reached[at] && is_client {
                    [made, keyed, gave].into_iter().flatten().for_each(|by| reached[*by] = true);
                }
            }
        }
        reached[whom]
    }

    fn granter(&self, actor: usize) -> Option<Granter> {
        Granter::principal(self.account, self.standings.get(actor).cloned()).ok()
    }

    fn run(&mut self, command: Command) {
        self.order += 1;
        let could_sign_in = self.operators().any(|s| s.active);
        let anew = matches!(&command, Command::Prepare { change, .. } if change.deactivate);
        match command {
            Command::Create { actor, user, enabled, active, roles } => {
                let by = (actor != INSTALLATION).then(|| actor % self.standings.len());
                let kind = if user { PrincipalKind::User } else { PrincipalKind::Client };
                self.create(by, kind, (enabled, active), RoleSet::from_bits(roles).unwrap());
            }
            Command::Activate { target } => self.activate(target % self.standings.len()),
            Command::Prepare { actor, target, change } => {
                self.prepare(actor % self.standings.len(), target % self.standings.len(), &change);
            }
            Command::Commit { which } if !self.open.is_empty() => self.commit(which % self.open.len()),
            Command::Commit { .. } => {}
        }
        assert!(self.operators().next().is_some(), "no user is left who may change users");
        let can_sign_in = self.operators().any(|s| s.active);
        assert!(!could_sign_in || anew || can_sign_in, "those who are left cannot sign in");
    }

    fn operators(&self) -> impl Iterator<Item = &Standing> {
        self.standings.iter().filter(|s| s.is_user_operator())
    }

    fn activate(&mut self, target: usize) {
        let before = self.standings[target].clone();
        let Ok(Some(after)) = before.activated() else { return };
        assert!(!before.deleted && !before.active);
        assert_eq!(after, Standing { active: true, ..before });
        self.standings[target] = after;
    }

    fn prepare(&mut self, actor: usize, target: usize, change: &Change) {
        let before = self.standings[target].clone();
        let Some(granter) = self.granter(actor) else { return };
        let others = || self.operators().filter(|s| s.principal != before.principal);
        let other = others().find(|s| s.stands_in_for(&before)).or_else(|| others().next()).cloned();
        let open = self.open.iter().filter(|o| o.target == target && !o.done);
        let open = open.fold(RoleSet::EMPTY, |all, o| all.plus(o.growth.roles));
        let behind = self.behind(&granter);
        let (policy, other_operator) = (GrantPolicy::Held, other.as_ref());
        let around = Circumstances { policy, open, other_operator, behind: &behind };
        let decided = prepare(&before, change, &granter, &around);
        if self.standings.len() <= 32 && decided.as_ref().is_err_and(|f| f.code == Code::OwnPrincipal) {
            assert!(self.is_hand_of(actor, target), "someone was refused who has nothing to do with it");
        }
        let Ok(Prepared { standing, growth }) = decided else { return };
        let rekeyed = !before.deleted && actor != target && (change.take_over || change.rekey);
        if growth != Growth::default() || rekeyed {
            assert!(!self.is_hand_of(actor, target), "someone raised themselves, through another");
        }
        if rekeyed {
            self.hands[target].keyed = Some(actor);
        }
        let actor_held = self.standings[actor].roles;
        self.note_what_was_taken(target, change);
        for earlier in self.open.iter_mut().filter(|o| o.target == target && !o.done) {
            earlier.growth = earlier.growth.outlasting(change);
        }
        assert!(before.roles.holds(standing.roles), "the first half gives roles");
        assert!(before.enabled || !standing.enabled, "the first half enables");
        assert!(standing.active || before.kind == PrincipalKind::User, "a client has nothing to activate");
        assert!(before.active || !standing.active, "the first half activates");
        steps_by_one(&before, &standing);
        if actor == target {
            let same = Standing {
                version: before.version,
                credential_version: before.credential_version,
                ..standing.clone()
            };
            assert_eq!(same, before, "someone changed their own access");
        }
        if standing != before && (change.take_over || (change.rekey && actor != target)) {
            assert!(actor_held.holds(standing.roles), "took over more than was held");
            let still = self.open.iter().filter(|o| o.target == target && !o.done);
            for earlier in still {
                assert!(actor_held.holds(earlier.growth.roles), "took over what was on its way");
            }
        }
        let actor = self.standings[actor].principal;
        self.open.push(Open { target, actor, growth, actor_held, order: self.order, done: false });
        self.standings[target] = standing;
    }

    fn note_what_was_taken(&mut self, target: usize, change: &Change) {
        let taken = &mut self.taken[target];
        for role in Role::ALL {
            if change.delete || change.roles.is_some_and(|named| !named.has(role)) {
                taken.roles.insert(role, self.order);
            }
        }
        if change.delete || change.enabled == Some(false) {
            taken.enabled = self.order;
        }
    }

    fn commit(&mut self, which: usize) {
        let open = &mut self.open[which];
        if std::mem::replace(&mut open.done, true) {
            return;
        }
        let before = self.standings[open.target].clone();
        let Some(after) = commit(&before, open.growth, Some(open.actor)) else { return };
        let taken = &self.taken[open.target];
        for role in after.roles.minus(before.roles).iter() {
            assert!(open.actor_held.has(role), "{role} was given by one who did not hold it");
            assert!(taken.roles.get(&role).is_none_or(|at| *at < open.order), "{role} came back");
        }
        if after.enabled && !before.enabled {
            assert!(taken.enabled < open.order, "it was enabled again");
        }
        assert!(after.roles.holds(before.roles) && !after.deleted, "the second half takes away");
        assert_eq!(after.active, before.active);
        steps_by_one(&before, &after);
        if after.roles != before.roles {
            self.hands[open.target].gave = self.standings.iter().position(|s| s.principal == open.actor);
        }
        self.standings[open.target] = after;
    }
}

/// A change counts one up, and nothing else does.
fn steps_by_one(before: &Standing, after: &Standing) {
    if before == after {
        return;
    }
    assert_eq!(after.version, before.version + 1);
    assert!(
        after.credential_version == before.credential_version || after.credential_version == after.version
    );
}

/// Few roles, so that sets meet; `user:operator` is among them.
fn roles() -> impl Strategy<Value = u32> {
    prop_oneof![(0_u32..16), Just(RoleSet::ALL.bits())]
}

fn change() -> impl Strategy<Value = Change> {
    let sometimes = prop::bool::weighted(0.2);
    let credentials =
        (prop::bool::weighted(0.1), sometimes, sometimes, any::<bool>(), any::<bool>(), sometimes);
    (prop::option::of(roles()), prop::option::of(any::<bool>()), credentials).prop_map(
        |(roles, enabled, (delete, rekey, take_over, credential_change, end_sessions, deactivate))| {
            let roles = roles.and_then(RoleSet::from_bits);
            Change { roles, enabled, delete, rekey, take_over, credential_change, end_sessions, deactivate }
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    let actor = 0_usize..6;
    prop_oneof![
        2 => (0..=INSTALLATION, any::<bool>(), any::<bool>(), any::<bool>(), roles()).prop_map(
            |(actor, user, enabled, active, roles)| Command::Create { actor, user, enabled, active, roles }
        ),
        1 => (0_usize..6).prop_map(|target| Command::Activate { target }),
        5 => (actor, 0_usize..6, change())
            .prop_map(|(actor, target, change)| Command::Prepare { actor, target, change }),
        4 => (0_usize..40).prop_map(|which| Command::Commit { which }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nobody_gains_what_their_granters_did_not_hold(commands in prop::collection::vec(command(), 1..60)) {
        let mut world = World::new();
        for command in commands {
            world.run(command);
        }
    }
}
