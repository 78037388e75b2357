//! The catalogue: what each of the 15 roles is for, in words for people, and the bundles for usual scenarios.

use beem_roles::Role;

/// What a role lets its holder do with its area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Reads.
    Viewer,
    /// Reads and acts.
    Operator,
    /// Decides on what others asked for.
    Approver,
}

impl Level {
    /// VIEWER, OPERATOR or APPROVER.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "VIEWER",
            Self::Operator => "OPERATOR",
            Self::Approver => "APPROVER",
        }
    }
}

/// A role in words. What it opens in the API is declared at the RPCs; `api_effect` says the same for people.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub level: Level,
    pub area: &'static str,
    pub description: &'static str,
    pub use_case: &'static str,
    pub api_effect: &'static str,
    pub ui_effect: &'static str,
}

/// Roles that together fit a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Bundle {
    pub scenario: &'static str,
    pub roles: &'static [Role],
    pub note: &'static str,
}

/// A role's place in the catalogue.
#[must_use]
#[expect(clippy::too_many_lines, reason = "a table")]
pub const fn entry(role: Role) -> Entry {
    match role {
        Role::UserViewer => Entry {
            level: Level::Viewer,
            area: "Users",
            description: "Sees the people of the account, what they may do, and the audit trail.",
            use_case: "Security and compliance staff who review access without changing it.",
            api_effect: "Reads /platform/v1/users and /platform/v1/audit-events.",
            ui_effect: "Opens the pages Users and Audit, without buttons to change anything.",
        },
        Role::UserOperator => Entry {
            level: Level::Operator,
            area: "Users",
            description: "Invites, changes, disables and deletes people, within the roles its holder has; sees the audit trail.",
            use_case: "Administrators of the account's people. One enabled user of each account keeps this role.",
            api_effect: "Reads and writes /platform/v1/users with invitations and second-factor resets, reads \
                         /platform/v1/audit-events, changes the account's name.",
            ui_effect: "Opens Users and Audit with invite, edit, reset, disable and delete; the account's name can be edited.",
        },
        Role::ClientViewer => Entry {
            level: Level::Viewer,
            area: "API clients",
            description: "Sees the API clients, their public keys, networks, roles and last use.",
            use_case: "Developers and reviewers who look after integrations without holding their keys.",
            api_effect: "Reads /platform/v1/clients.",
            ui_effect: "Opens the page API clients, without buttons to change anything.",
        },
        Role::ClientOperator => Entry {
            level: Level::Operator,
            area: "API clients",
            description: "Registers API clients, rotates their keys, changes, suspends and deletes them, within the roles its holder has.",
            use_case: "Those who set up and maintain integrations.",
            api_effect: "Reads and writes /platform/v1/clients, key rotation included.",
            ui_effect: "Opens API clients with create, edit, rotate, suspend and delete.",
        },
        Role::LedgerViewer => Entry {
            level: Level::Viewer,
            area: "Ledger",
            description: "Sees wallets, balances and transactions, and exports them.",
            use_case: "Accounting, auditors, reporting jobs.",
            api_effect: "Reads /api/v1/wallets with balances, transactions and their export.",
            ui_effect: "Opens the pages Wallets and Transactions, with download.",
        },
        Role::LedgerOperator => Entry {
            level: Level::Operator,
            area: "Ledger",
            description: "Opens wallets, and sees all that a ledger viewer sees.",
            use_case: "Treasury staff who decide which wallets there are.",
            api_effect: "Reads and creates /api/v1/wallets; in a sandbox installation gives /sandbox/v1/credits.",
            ui_effect: "Opens Wallets and Transactions, with the button New wallet.",
        },
        Role::ConversionOperator => Entry {
            level: Level::Operator,
            area: "Conversion",
            description: "Asks for quotes and converts between the account's wallets.",
            use_case: "Treasury staff or a program that keeps currencies in balance.",
            api_effect: "Creates, reads and executes /api/v1/quote.",
            ui_effect: "Opens the page Convert. To choose wallets by balance there, ledger:viewer is useful too.",
        },
        Role::ChannelsViewer => Entry {
            level: Level::Viewer,
            area: "Channels",
            description: "Sees deposit channels, their addresses and the payments that came in through them.",
            use_case: "Support staff who answer where a deposit is.",
            api_effect: "Reads /api/v2/channel and /api/v2/channel/payment.",
            ui_effect: "Opens the page Channels, without buttons to change anything.",
        },
        Role::ChannelsOperator => Entry {
            level: Level::Operator,
            area: "Channels",
            description: "Opens, changes and closes deposit channels, and sees their payments.",
            use_case: "An integration that gives each customer an own deposit address.",
            api_effect: "Reads and writes /api/v2/channel, reads /api/v2/channel/payment.",
            ui_effect: "Opens Channels with new, edit and close.",
        },
        Role::PaymentViewer => Entry {
            level: Level::Viewer,
            area: "Payments",
            description: "Sees payment links and payouts with their state.",
            use_case: "Support staff and shops that only follow states.",
            api_effect: "Reads /api/v1/pay.",
            ui_effect: "Opens the page Payments, without buttons to change anything.",
        },
        Role::PaymentOperator => Entry {
            level: Level::Operator,
            area: "Payments",
            description: "Creates and cancels payment links and payouts. Payouts wait for votes where the approval settings ask for them.",
            use_case: "An integration that takes or sends money; staff who prepare payouts.",
            api_effect: "Reads, creates and cancels /api/v1/pay, validates destination addresses.",
            ui_effect: "Opens Payments with new payment link, new payout and cancel.",
        },
        Role::PaymentApprover => Entry {
            level: Level::Approver,
            area: "Payments",
            description: "Votes on payouts that others created; never on its holder's own.",
            use_case: "The second pair of eyes on money that leaves.",
            api_effect: "Reads /platform/v1/approval-requests and votes on them, one by one or many at once.",
            ui_effect: "Opens the page Approvals with approve and reject.",
        },
        Role::ApprovalSettingsOperator => Entry {
            level: Level::Operator,
            area: "Approval settings",
            description: "Sets which payouts need how many votes, the base currency they are measured in, and who pays network fees.",
            use_case: "Whoever answers for the account's controls; best not one who creates payouts.",
            api_effect: "Reads and writes /platform/v1/approval-settings, changes baseCurrency and networkFeePayer of the account.",
            ui_effect: "Opens the page Approval settings; base currency and fee payer of the account can be edited.",
        },
        Role::HookViewer => Entry {
            level: Level::Viewer,
            area: "Webhooks",
            description: "Sees webhook destinations, event types and deliveries.",
            use_case: "Developers who look why an event did not arrive.",
            api_effect: "Reads /platform/v1/hooks, /platform/v1/hook-events and deliveries.",
            ui_effect: "Opens the page Webhooks, without buttons to change anything.",
        },
        Role::HookOperator => Entry {
            level: Level::Operator,
            area: "Webhooks",
            description: "Registers, changes and deletes webhook destinations, rotates their keys, tests and replays deliveries.",
            use_case: "Those who set up and maintain integrations that listen.",
            api_effect: "Reads and writes /platform/v1/hooks, rotates, tests and replays; reads /platform/v1/hook-events.",
            ui_effect: "Opens Webhooks with new, edit, rotate, test, replay and delete.",
        },
    }
}

/// The usual scenarios. Under the account setting `roleGrantPolicy: HELD` a bundle can be handed out only by one who
/// holds all of its roles beside `user:operator` (to people) or `client:operator` (to clients): the notes say so where
/// it is easily overlooked.
pub const BUNDLES: &[Bundle] = &[
    Bundle {
        scenario: "Full administrator",
        roles: &Role::ALL,
        note: "Only a holder of all 15 roles can hand this out. Nobody votes on their own payouts, so the account needs \
               a second approver all the same.",
    },
    Bundle {
        scenario: "People and access administrator",
        roles: &[Role::UserViewer, Role::UserOperator, Role::ClientViewer, Role::ClientOperator],
        note: "Holders can hand out only these four roles. To hand out, enable or re-key anything more they must hold \
               those roles too, unless the account's roleGrantPolicy is ANY.",
    },
    Bundle {
        scenario: "Auditor",
        roles: &[
            Role::UserViewer,
            Role::ClientViewer,
            Role::LedgerViewer,
            Role::ChannelsViewer,
            Role::PaymentViewer,
            Role::HookViewer,
        ],
        note: "Reads everything but approvals and quotes, changes nothing. Whoever hands it out must hold these six roles \
               beside user:operator: an operator role does not stand in for the viewer role of its area.",
    },
    Bundle {
        scenario: "Treasury",
        roles: &[Role::LedgerViewer, Role::LedgerOperator, Role::ConversionOperator],
        note: "Whoever hands it out must hold these three roles beside user:operator or client:operator.",
    },
    Bundle {
        scenario: "Payments initiator",
        roles: &[
            Role::LedgerViewer,
            Role::ChannelsViewer,
            Role::ChannelsOperator,
            Role::PaymentViewer,
            Role::PaymentOperator,
        ],
        note: "Whoever hands it out must hold these five roles beside user:operator or client:operator. Keep it apart \
               from the payments approver.",
    },
    Bundle {
        scenario: "Payments approver",
        roles: &[Role::LedgerViewer, Role::PaymentViewer, Role::PaymentApprover],
        note: "Whoever hands it out must hold payment:approver too. A vote does not count on payouts of the one who \
               created, re-keyed or granted the voter.",
    },
    Bundle {
        scenario: "Integration developer",
        roles: &[
            Role::ClientViewer,
            Role::ClientOperator,
            Role::ChannelsViewer,
            Role::PaymentViewer,
            Role::HookViewer,
            Role::HookOperator,
        ],
        note: "Sets up clients and webhooks. To give a client roles that act on money, such as payment:operator or \
               channels:operator, the holder must hold those roles too.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use beem_proto::{Access, Contract};
    use beem_roles::RoleSet;

    #[test]
    fn levels_and_areas_follow_the_roles_names() {
        for role in Role::ALL {
            let (area, level) = role.short().rsplit_once(':').unwrap();
            let entry = entry(role);
            assert_eq!(entry.level.as_str(), level.to_uppercase(), "{role}");
            let first = area.split('-').next().unwrap();
            assert!(
                entry.area.to_lowercase().contains(first) || matches!(first, "hook" | "client" | "user"),
                "{role}: {}",
                entry.area
            );
            for text in [entry.description, entry.use_case, entry.api_effect, entry.ui_effect] {
                assert!(text.ends_with('.') && !text.contains("  "), "{role}: {text}");
            }
        }
    }

    #[test]
    fn seven_bundles_in_catalogue_order_without_doubles() {
        assert_eq!(BUNDLES.len(), 7);
        for bundle in BUNDLES {
            let set: RoleSet = bundle.roles.iter().copied().collect();
            assert_eq!(set.iter().collect::<Vec<_>>(), bundle.roles, "{}", bundle.scenario);
            assert!(!bundle.note.is_empty() && !bundle.note.contains("  "));
        }
        assert_eq!(BUNDLES.first().map(|b| b.roles.len()), Some(15));
    }

    /// What the contract opens to a role, its text says.
    #[test]
    fn effects_name_the_paths_that_the_contract_opens() {
        let contract = Contract::load().unwrap();
        for method in contract.methods() {
            let Access::AnyOf(roles) = &method.access else { continue };
            for http in &method.http {
                let root: Vec<_> = http.template.split('/').take(4).collect();
                for role in roles.iter() {
                    let said = entry(role).api_effect;
                    assert!(
                        said.contains(&root.join("/")),
                        "{role} opens {} but says: {said}",
                        http.template
                    );
                }
            }
        }
    }
}
