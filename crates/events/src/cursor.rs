//! How far a feed has been taken in: a row that moves with the effects of what lies between.

use crate::Slice;
use crate::outbox::{signed, unsigned};
use beem_database::{Database, OrFault as _, Sql as _, Tx};
use beem_fault::{Code, Fault, Result};
use beem_ids::EventId;
use uuid::Uuid;

/// How far a feed has been taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Empty before the first event.
    pub epoch: String,
    pub position: u64,
    /// The event at that position. None before the first, and where it was not noted.
    pub last: Option<EventId>,
}

impl Cursor {
    /// Where `feed` stands.
    ///
    /// # Errors
    /// `unavailable` when the database is away.
    pub async fn load(db: &Database, feed: &str) -> Result<Self> {
        let sql = "SELECT epoch, position, last_event FROM cursors WHERE feed = $1";
        let Some(row) = db.read().row(sql, vec![feed.into()]).await? else { return Ok(Self::default()) };
        let position: i64 = row.try_get("", "position").or_fault()?;
        let last: Option<Uuid> = row.try_get("", "last_event").or_fault()?;
        Ok(Self {
            epoch: row.try_get("", "epoch").or_fault()?,
            position: unsigned(position)?,
            last: last.map(EventId),
        })
    }

    /// Moves it from `self` to `next`, with the effects of what lies between.
    ///
    /// # Errors
    /// `changed-concurrently` when another process has moved it: then the transaction's effects were made already.
    pub async fn advance(&self, tx: &Tx<'_>, feed: &str, next: &Self) -> Result<()> {
        let mut values = vec![
            feed.into(),
            next.epoch.as_str().into(),
            signed(next.position)?.into(),
            tx.now().unix_ms().into(),
            next.last.map(|event| event.0).into(),
        ];
        let sql = if self.epoch.is_empty() {
            "INSERT INTO cursors (feed, epoch, position, updated_ms, last_event) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING"
        } else {
            values.extend([self.epoch.as_str().into(), signed(self.position)?.into()]);
            "UPDATE cursors SET epoch = $2, position = $3, updated_ms = $4, last_event = $5
             WHERE feed = $1 AND epoch = $6 AND position = $7"
        };
        if tx.run(sql, values).await? == 1 {
            return Ok(());
        }
        Err(Fault::new(Code::ChangedConcurrently, "another process follows this feed"))
    }

    /// The cursor behind the slice's events; None when it has none.
    ///
    /// # Errors
    /// `internal` when they do not follow this cursor one after another: a gap is never taken in, whoever makes it.
    pub(crate) fn after(&self, slice: &Slice) -> Result<Option<Self>> {
        let Some(last) = slice.events.last() else { return Ok(None) };
        let another = !self.epoch.is_empty() && self.epoch != slice.epoch;
        // A cursor without an epoch begins wherever the feed does.
        let mut position = if self.epoch.is_empty() { None } else { Some(self.position) };
        let in_order = slice.events.iter().all(|event| {
            let follows = position.is_none_or(|before| before.checked_add(1) == Some(event.position));
            position = Some(event.position);
            follows
        });
        if another || slice.epoch.is_empty() || !in_order {
            return Err(Fault::internal("a feed answered with what does not come next"));
        }
        Ok(Some(Self { epoch: slice.epoch.clone(), position: last.position, last: Some(last.event_id) }))
    }
}

/// The cursor cannot be gone on from.
pub(crate) fn lost(why: &str) -> Fault {
    Fault::new(Code::FeedCursorLost, format!("the cursor is {why}: take a fresh copy and begin anew"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;
    use beem_clock::Moment;
    use beem_ids::AccountId;

    fn slice(epoch: &str, positions: &[u64]) -> Slice {
        let event = |position: &u64| Event {
            position: *position,
            event_id: EventId(Uuid::from_u128(u128::from(*position))),
            account_id: AccountId(Uuid::nil()),
            event: "layer1:test:happened".into(),
            source: "ledger".into(),
            entity_id: "a".into(),
            sequence: *position,
            time: Moment::from_unix_s(0),
            data: "{}".into(),
        };
        Slice { epoch: epoch.into(), events: positions.iter().map(event).collect() }
    }

    #[test]
    fn only_what_comes_next_is_taken_in() {
        let new = Cursor::default();
        let cursor = Cursor { epoch: "e".into(), position: 4, last: None };
        let five = Cursor { position: 6, last: Some(EventId(Uuid::from_u128(6))), ..cursor.clone() };
        assert_eq!(cursor.after(&slice("e", &[])).unwrap(), None);
        assert_eq!(cursor.after(&slice("e", &[5, 6])).unwrap(), Some(five.clone()));
        assert_eq!(new.after(&slice("e", &[5, 6])).unwrap(), Some(five), "wherever the feed begins");
        for garbled in [slice("e", &[6]), slice("e", &[4, 5]), slice("e", &[5, 7]), slice("f", &[5])] {
            assert!(cursor.after(&garbled).is_err(), "{garbled:?}");
        }
        for garbled in [slice("e", &[5, 5]), slice("e", &[2, 1]), slice("", &[1])] {
            assert!(new.after(&garbled).is_err(), "{garbled:?}");
        }
    }
}
