//! Pages of a list by creation: a token is the last row's place (time and id), never a count of rows, so that inserts
//! move nothing. It is tied to its listing, filter and order, and says nothing a caller could not see in the row.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use beem_fault::{Fault, Result};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

const DEFAULT_MAX: u32 = 50;
const LARGEST_MAX: u32 = 500;
const DIGEST_BYTES: usize = 8;
const TOKEN_BYTES: usize = 8 + 16 + DIGEST_BYTES;

/// By creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Asc,
    Desc,
}

/// What a list request says, as it says it.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageQuery<'a> {
    /// 1 to 500; absent is 50.
    pub max: Option<u32>,
    /// Empty is the first page.
    pub page_token: &'a str,
    /// Rows to skip, instead of a token.
    pub offset: Option<u32>,
    /// `asc`, `desc`, or empty for `desc`.
    pub order: &'a str,
}

/// A page to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub max: u32,
    pub order: Order,
    start: Start,
    digest: [u8; DIGEST_BYTES],
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Start {
    Skipping(u32),
    After { created_ms: i64, id: Uuid },
}

impl Page {
    /// `listing` is the RPC's name; `filter` every other thing that decides which rows there are, the account first.
    ///
    /// # Errors
    /// `validation-failed` naming `max`, `order`, `offset` (beside a token) or `pageToken` (garbled, or of another list).
    pub fn parse(query: PageQuery<'_>, listing: &str, filter: &[u8]) -> Result<Self> {
        let max = query.max.unwrap_or(DEFAULT_MAX);
        if !(1..=LARGEST_MAX).contains(&max) {
            return Err(Fault::field("max", "1 to 500"));
        }
        let order = match query.order {
            "asc" => Order::Asc,
            "desc" | "" => Order::Desc,
            _ => return Err(Fault::field("order", "asc or desc")),
        };
        let digest = digest(listing, order, filter);
        let start = match (query.page_token, query.offset) {
            ("", offset) => Start::Skipping(offset.unwrap_or(0)),
            (_, Some(_)) => return Err(Fault::field("offset", "either offset or pageToken")),
            (token, None) => read_token(token, digest)?,
        };
        Ok(Self { max, order, start, digest })
    }

    /// The query, ordered and cut to this page and one row more, which [`Page::finish`] takes off again.
    #[must_use]
    pub fn select<E: EntityTrait>(
        &self,
        query: Select<E>,
        created_ms: impl ColumnTrait,
        id: impl ColumnTrait,
    ) -> Select<E> {
        let query = match self.order {
            Order::Asc => query.order_by_asc(created_ms).order_by_asc(id),
            Order::Desc => query.order_by_desc(created_ms).order_by_desc(id),
        };
        let query = query.limit(self.limit());
        let query = match self.skipped() {
            0 => query,
            rows => query.offset(u64::from(rows)),
        };
        let Some((at, last)) = self.after() else { return query };
        // The first condition alone can use an index; the second settles rows of the same millisecond.
        let beyond = match self.order {
            Order::Asc => Condition::all()
                .add(created_ms.gte(at))
                .add(Condition::any().add(created_ms.gt(at)).add(id.gt(last))),
            Order::Desc => Condition::all()
                .add(created_ms.lte(at))
                .add(Condition::any().add(created_ms.lt(at)).add(id.lt(last))),
        };
        query.filter(beyond)
    }

    /// For statements by hand: rows to read, one more than the page has; [`Page::finish`] takes it off again.
    #[must_use]
    pub fn limit(&self) -> u64 {
        u64::from(self.max) + 1
    }

    /// For statements by hand: rows to leave out before the first; 0 whenever there is a place to go on after.
    #[must_use]
    pub fn skipped(&self) -> u32 {
        match self.start {
            Start::Skipping(rows) => rows,
            Start::After { .. } => 0,
        }
    }

    /// For statements by hand: the place of the last row given, as `place` of [`Page::finish`] told it. The page goes on
    /// beyond it in its order: above when ascending, below when descending.
    ///
    /// What the id holds is up to the list. One by time and a number packs the number, `Uuid::from_u64_pair(0, number)`,
    /// and takes it out again with `as_u64_pair`.
    #[must_use]
    pub fn after(&self) -> Option<(i64, Uuid)> {
        match self.start {
            Start::Skipping(_) => None,
            Start::After { created_ms, id } => Some((created_ms, id)),
        }
    }

    /// The rows of this page, and the token of the next one, empty after the last. `place` is a row's creation and id.
    pub fn finish<M>(&self, mut rows: Vec<M>, place: impl Fn(&M) -> (i64, Uuid)) -> (Vec<M>, String) {
        let max = usize::try_from(self.max).unwrap_or(usize::MAX);
        let more = rows.len() > max;
        rows.truncate(max);
        let token = rows.last().filter(|_| more).map_or_else(String::new, |row| {
            let (created_ms, id) = place(row);
            write_token(created_ms, id, self.digest)
        });
        (rows, token)
    }
}

fn digest(listing: &str, order: Order, filter: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut hash = Sha256::new();
    hash.update(listing.as_bytes());
    hash.update(match order {
        Order::Asc => b"\0asc\0".as_slice(),
        Order::Desc => b"\0desc\0".as_slice(),
    });
    hash.update(filter);
    let mut short = [0; DIGEST_BYTES];
    for (to, from) in short.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    short
}

fn write_token(created_ms: i64, id: Uuid, digest: [u8; DIGEST_BYTES]) -> String {
    let bytes = [created_ms.to_be_bytes().as_slice(), id.as_bytes(), &digest].concat();
    URL_SAFE_NO_PAD.encode(bytes)
}

fn read_token(token: &str, digest: [u8; DIGEST_BYTES]) -> Result<Start> {
    let garbled = || Fault::field("pageToken", "not a page token");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| garbled())?;
    let bytes: [u8; TOKEN_BYTES] = bytes.try_into().map_err(|_| garbled())?;
    let (created, rest) = bytes.split_first_chunk::<8>().ok_or_else(garbled)?;
    let (id, tail) = rest.split_first_chunk::<16>().ok_or_else(garbled)?;
    if tail != digest {
        return Err(Fault::field("pageToken", "the token of another list, filter or order"));
    }
    Ok(Start::After { created_ms: i64::from_be_bytes(*created), id: Uuid::from_bytes(*id) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(token: &str, listing: &str, filter: &[u8]) -> Result<Page> {
        Page::parse(PageQuery { page_token: token, ..PageQuery::default() }, listing, filter)
    }

    #[test]
    fn bounds_and_defaults() {
        let max = |max| Page::parse(PageQuery { max, ..PageQuery::default() }, "L", b"");
        assert_eq!(max(None).unwrap().max, 50);
        assert_eq!(max(Some(500)).unwrap().max, 500);
        for wrong in [0, 501, u32::MAX] {
            assert_eq!(max(Some(wrong)).unwrap_err().fields[0].field, "max");
        }
        let order = |order| Page::parse(PageQuery { order, ..PageQuery::default() }, "L", b"");
        assert_eq!(order("").unwrap().order, Order::Desc);
        assert_eq!(order("asc").unwrap().order, Order::Asc);
        assert_eq!(order("ASC").unwrap_err().fields[0].field, "order");
        let both = PageQuery { page_token: "x", offset: Some(0), ..PageQuery::default() };
        assert_eq!(Page::parse(both, "L", b"").unwrap_err().fields[0].field, "offset");
    }

    proptest! {
        #[test]
        fn a_token_is_good_for_its_own_list_only(created in any::<i64>(), id in any::<u128>(), filter in any::<Vec<u8>>()) {
            let id = Uuid::from_u128(id);
            let page = parse("", "ListClients", &filter).unwrap();
            let (rows, token) = page.finish(vec![(created, id); 51], |row| *row);
            prop_assert_eq!(rows.len(), 50);
            prop_assert_eq!(parse(&token, "ListClients", &filter).unwrap().start, Start::After { created_ms: created, id });
            prop_assert!(parse(&token, "ListUsers", &filter).is_err());
            prop_assert!(parse(&token, "ListClients", &[&filter[..], b"x"].concat()).is_err());
            let asc = PageQuery { page_token: &token, order: "asc", ..PageQuery::default() };
            prop_assert!(Page::parse(asc, "ListClients", &filter).is_err());
        }

        #[test]
        fn any_other_text_is_refused(token in "\\PC{1,60}") {
            let fault = parse(&token, "L", b"").unwrap_err();
            prop_assert_eq!(&fault.fields[0].field, "pageToken");
        }
    }

    #[test]
    fn the_last_page_has_no_token() {
        let page = parse("", "L", b"").unwrap();
        assert_eq!(page.finish(vec![(1, Uuid::nil()); 50], |row| *row).1, "");
    }
}
