//! What is written down of a payout's conversions, so that posting it rates nothing again: JSON of whole numbers as text.

use beem_money::{Amount, Conversion, Currency, Rate, Terms};
use serde::{Deserialize, Serialize};

/// The conversions of a payout. None where the wallet's currency is what is needed, or nothing is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// From the wallet's currency to the paid one.
    pub pay: Option<Leg>,
    /// From the wallet's currency to the fee's; of the cap.
    pub fee: Option<Leg>,
}

/// One conversion and the terms it was made on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    pub mid: Rate,
    pub spread_millionths: u32,
    pub conversion: Conversion,
}

impl Leg {
    /// The same terms for another amount. Payouts pay the spread, no fee.
    #[must_use]
    pub const fn terms<'a>(&self, from: &'a Currency, to: &'a Currency) -> Terms<'a> {
        Terms { from, to, mid: self.mid, spread_millionths: self.spread_millionths, fee_millionths: 0 }
    }
}

impl Plan {
    /// As it is stored: always the same text for the same plan.
    #[must_use]
    pub fn to_text(&self) -> String {
        let row = Row { pay: self.pay.as_ref().map(LegRow::of), fee: self.fee.as_ref().map(LegRow::of) };
        serde_json::to_string(&row).unwrap_or_default()
    }

    /// Of its text. None for any other text, an equal one written otherwise too.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let row: Row = serde_json::from_str(text).ok()?;
        let leg = |row: Option<LegRow>| row.map_or(Some(None), |row| row.leg().map(Some));
        let plan = Self { pay: leg(row.pay)?, fee: leg(row.fee)? };
        (plan.to_text() == text).then_some(plan)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    pay: Option<LegRow>,
    fee: Option<LegRow>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LegRow {
    mid: String,
    spread_millionths: String,
    rate: String,
    amount_in: String,
    fee: String,
    net_in: String,
    amount_out: String,
    spread: String,
    remainder: String,
}

impl LegRow {
    fn of(leg: &Leg) -> Self {
        let priced = &leg.conversion;
        Self {
            mid: leg.mid.exact(),
            spread_millionths: leg.spread_millionths.to_string(),
            rate: priced.rate.exact(),
            amount_in: priced.amount_in.to_string(),
            fee: priced.fee.to_string(),
            net_in: priced.net_in.to_string(),
            amount_out: priced.amount_out.to_string(),
            spread: priced.spread.to_string(),
            remainder: priced.remainder.to_string(),
        }
    }

    fn leg(&self) -> Option<Leg> {
        let amount = |text: &str| text.parse::<Amount>().ok().filter(|amount| !amount.is_negative());
        let conversion = Conversion {
            amount_in: amount(&self.amount_in)?,
            fee: amount(&self.fee)?,
            net_in: amount(&self.net_in)?,
            amount_out: amount(&self.amount_out)?,
            spread: amount(&self.spread)?,
            remainder: amount(&self.remainder)?,
            rate: Rate::parse_exact(&self.rate).ok()?,
        };
        let spread_millionths = self.spread_millionths.parse().ok()?;
        Some(Leg { mid: Rate::parse_exact(&self.mid).ok()?, spread_millionths, conversion })
    }
}
