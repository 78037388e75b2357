//! The types of events, as hooks name them. A service that begins to make one adds its message here, from which its schema
//! comes.

use super::Area;

/// The body of a hook's own test: sent to that hook alone, and never asked for by name.
pub const TEST_EVENT: &str = "layer1:hook:test";

/// A type of events.
#[derive(Clone, Copy, Debug)]
pub struct EventType {
    pub event: &'static str,
    pub description: &'static str,
    /// The envelope's `source`.
    pub source: &'static str,
    pub area: Area,
    /// The message that `data` is, once such events are made.
    pub message: Option<&'static str>,
}

const fn ty(
    event: &'static str,
    source: &'static str,
    area: Area,
    message: Option<&'static str>,
    description: &'static str,
) -> EventType {
    EventType { event, description, source, area, message }
}

const WALLET: Option<&str> = Some("beem.ledger.v1.Wallet");
const QUOTE: Option<&str> = Some("beem.ledger.v1.Quote");
const CLIENT: Option<&str> = Some("beem.identity.v1.Client");

/// Every type there is, by area.
pub const CATALOGUE: &[EventType] = &[
    ty(
        "layer1:approval:request:vote-required",
        "approval",
        Area::Approvals,
        None,
        "A payout waits for votes.",
    ),
    ty(
        "layer1:approval:request:status-changed",
        "approval",
        Area::Approvals,
        None,
        "An approval request was approved, rejected, or has expired.",
    ),
    ty(
        "layer1:payment:checkout:status-change",
        "payment",
        Area::Payments,
        None,
        "The status of a payment link changed.",
    ),
    ty(
        "layer1:payment:checkout:transaction-detected",
        "payment",
        Area::Payments,
        None,
        "A transaction for a payment link was seen in a block.",
    ),
    ty(
        "layer1:payment:checkout:transaction-confirmed",
        "payment",
        Area::Payments,
        None,
        "A transaction for a payment link has enough confirmations.",
    ),
    ty(
        "layer1:payment:checkout:transaction-held",
        "payment",
        Area::Payments,
        None,
        "A transaction for a payment link is held for compliance.",
    ),
    ty(
        "layer1:payment:checkout:transaction-late",
        "payment",
        Area::Payments,
        None,
        "Money came for a payment link that had ended; it was credited.",
    ),
    ty(
        "layer1:payment:checkout:transaction-settled",
        "payment",
        Area::Payments,
        None,
        "A transaction for a payment link was credited to its wallet.",
    ),
    ty(
        "layer1:payment:checkout:refund-initiated",
        "payment",
        Area::Payments,
        None,
        "Money of a payment link is being sent back.",
    ),
    ty(
        "layer1:payment:channel:transaction-detected",
        "channel",
        Area::Channels,
        None,
        "A deposit on a channel's address was seen in a block.",
    ),
    ty(
        "layer1:payment:channel:transaction-screening-requested",
        "channel",
        Area::Channels,
        None,
        "A deposit is being screened.",
    ),
    ty(
        "layer1:payment:channel:transaction-held",
        "channel",
        Area::Channels,
        None,
        "A deposit is held for compliance.",
    ),
    ty(
        "layer1:payment:channel:transaction-confirmed",
        "channel",
        Area::Channels,
        None,
        "A deposit was credited to the channel's wallet.",
    ),
    ty(
        "layer1:payment:channel:transaction-rejected",
        "channel",
        Area::Channels,
        None,
        "A deposit was rejected: it is not credited.",
    ),
    ty("layer1:ledger:conversion:executed", "ledger", Area::Conversion, QUOTE, "A quote was carried out."),
    ty("layer1:ledger:wallet:created", "ledger", Area::Ledger, WALLET, "A wallet was opened."),
    ty(
        "layer1:identity:client:key-rotated",
        "identity",
        Area::Clients,
        CLIENT,
        "An API client has a new key.",
    ),
];

impl EventType {
    /// By its name.
    #[must_use]
    pub fn find(event: &str) -> Option<&'static Self> {
        CATALOGUE.iter().find(|ty| ty.event == event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_lie_in_their_areas() {
        assert_eq!(CATALOGUE.iter().map(|ty| ty.event).collect::<BTreeSet<_>>().len(), CATALOGUE.len());
        for ty in CATALOGUE {
            assert_eq!(Area::of(ty.event), Some(ty.area), "{}", ty.event);
        }
        assert_eq!(Area::of(TEST_EVENT), None, "nobody reads a test but its hook");
    }
}
