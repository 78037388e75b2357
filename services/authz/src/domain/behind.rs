//! Who stands behind a client: whoever made it, last gave it a key or last gave it roles, and whoever stands behind those.
//! What a client does may be the doing of any of them, so it raises none of them: nobody raises themselves, not through
//! their client, nor through a client of that one. Behind a user stands nobody: a person acts for themselves, whoever
//! invited them, or else no one could ever help the Owner back in.
//!
//! The walk is here, the reading is the caller's: it asks for [`Behind::unread`] and hands in what it finds until nothing is left.

use super::{Granter, Standing};
use beem_caller::PrincipalKind;
use beem_ids::PrincipalId;
use std::collections::BTreeSet;

/// Beside the granter. Beyond that nobody is looked for, and whoever is asked about counts as standing behind.
const MOST: usize = 32;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Behind {
    granter: Option<PrincipalId>,
    found: BTreeSet<PrincipalId>,
    unread: Vec<PrincipalId>,
    beyond: bool,
}

impl Behind {
    /// The beginning of the walk. Nobody stands behind the installation.
    #[must_use]
    pub fn of(granter: &Granter) -> Self {
        let mut behind = Self { granter: granter.id(), ..Self::default() };
        if let Granter::Principal(standing) = granter {
            behind.read([standing]);
        }
        behind
    }

    /// Those whose standings are to be handed to [`Self::read`] next; none when the walk is over. They are not named again.
    pub fn unread(&mut self) -> Option<Vec<PrincipalId>> {
        let next = std::mem::take(&mut self.unread);
        (!next.is_empty()).then_some(next)
    }

    /// Goes on over these. One that has no standing in the account has nobody behind it that is known here, a user nobody.
    pub fn read<'a>(&mut self, standings: impl IntoIterator<Item = &'a Standing>) {
        let clients = standings.into_iter().filter(|s| s.kind == PrincipalKind::Client);
        let givers = clients.flat_map(|s| [s.created_by, s.rekeyed_by, s.granted_by]);
        for giver in givers.flatten() {
            if self.granter == Some(giver) || self.found.contains(&giver) {
                continue;
            }
            if self.found.len() == MOST {
                self.beyond = true;
                self.unread.clear();
                return;
            }
            self.found.insert(giver);
            self.unread.push(giver);
        }
    }

    /// Whether that principal stands behind the granter, or too many do to tell.
    pub(super) fn has(&self, principal: PrincipalId) -> bool {
        self.beyond || self.found.contains(&principal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use beem_clock::{Entropy, Moment};
    use beem_ids::AccountId;
    use beem_roles::RoleSet;

    fn id(n: usize) -> PrincipalId {
        PrincipalId::draw(Moment::from_unix_ms(0), &Entropy::seeded(n.try_into().unwrap()))
    }

    fn made(n: usize, by: [Option<usize>; 3]) -> Standing {
        let [created_by, rekeyed_by, granted_by] = by.map(|by| by.map(id));
        Standing {
            principal: id(n),
            account: AccountId::draw(Moment::from_unix_ms(0), &Entropy::seeded(0)),
            kind: PrincipalKind::Client,
            enabled: true,
            deleted: false,
            active: true,
            roles: RoleSet::ALL,
            version: 1,
            credential_version: 1,
            created_by,
            rekeyed_by,
            granted_by,
        }
    }

    /// Walks a whole account from its first principal.
    fn walk(all: &[Standing]) -> Behind {
        let mut behind = Behind::of(&Granter::Principal(all[0].clone()));
        while let Some(next) = behind.unread() {
            behind.read(all.iter().filter(|s| next.contains(&s.principal)));
        }
        behind
    }

    #[test]
    fn makers_rekeyers_and_granters_are_found_however_far_and_in_a_ring() {
        let all = [
            made(0, [Some(1), None, Some(2)]),
            made(1, [None, Some(3), None]),
            made(2, [Some(2), Some(0), Some(1)]),
            made(3, [None, None, Some(4)]),
            made(5, [Some(0), Some(0), Some(0)]),
        ];
        let behind = walk(&all);
        assert!([1, 2, 3, 4].into_iter().all(|n| behind.has(id(n))), "the fourth has no standing here");
        assert!(!behind.has(id(5)), "what it made does not stand behind it");
        assert!(!behind.has(id(0)));
        assert!(!Behind::of(&Granter::Installation).has(id(0)));
    }

    #[test]
    fn nobody_stands_behind_a_person() {
        let person = Standing { kind: PrincipalKind::User, ..made(0, [Some(1), Some(2), Some(3)]) };
        assert!(!walk(&[person.clone(), made(1, [None; 3])]).has(id(1)));
        let client = made(4, [Some(0), None, None]);
        let behind = walk(&[client, person, made(1, [None; 3])]);
        assert!(behind.has(id(0)) && !behind.has(id(1)));
    }

    #[test]
    fn a_walk_ends_and_then_nobody_is_believed() {
        let chain = |length: usize| -> Vec<_> {
            (0..=length).map(|n| made(n, [(n < length).then_some(n + 1), None, None])).collect()
        };
        assert!(!walk(&chain(MOST)).has(id(1000)));
        assert!(walk(&chain(MOST)).has(id(MOST)));
        assert!(walk(&chain(MOST + 1)).has(id(1000)));
    }
}
