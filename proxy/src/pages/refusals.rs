//! Pages for what the edge refuses by itself. A refusal must stay cheap, whoever causes it: each page is fetched once a second at
//! most, whether its cache policy stores it or not, and all who are refused meanwhile get the same one. Knows no request; the
//! time is passed in.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::{Page, PageError};

/// How long a page is given to others, in nanoseconds.
const LIFE: u64 = 1_000_000_000;
/// Most pages of a distribution in that time: hosts, and so pages, can be made up.
pub const MAX: usize = 64;
/// Most pages of all distributions.
const MAX_ALL: usize = 1024;

/// What a page belongs to.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Number of the snapshot.
    pub snapshot: u64,
    /// Index of the distribution.
    pub distribution: usize,
    /// Whether the viewer speaks HTTPS: the origin is told.
    pub https: bool,
    /// Host and port.
    pub host: Box<str>,
    /// Path and query.
    pub target: Box<str>,
}

/// One fetch and what came of it: none if nothing did.
#[derive(Debug)]
struct Slot {
    begun: u64,
    page: OnceCell<Option<Page>>,
}

impl Slot {
    /// Whether a request of this time takes what this one has, or will have.
    fn serves(self: &Arc<Self>, now: u64) -> bool {
        match self.page.initialized() {
            true => now.saturating_sub(self.begun) < LIFE,
            // Whoever fetched it may have left, with nobody else waiting.
            false => Arc::strong_count(self) > 1,
        }
    }
}

#[derive(Debug, Default)]
struct Table {
    slots: HashMap<Key, Arc<Slot>>,
    /// When it was said last that there are too many.
    told: Option<u64>,
}

/// The pages of about a second.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Table>);

impl Refusals {
    /// The page of `key`, which `fetch` gets unless another request does or did. `now` is in nanoseconds of any clock.
    ///
    /// # Errors
    /// What `fetch` says; `Again` if that was said to another request; `Busy` where too many others are wanted.
    pub async fn get(
        &self,
        key: Key,
        now: u64,
        fetch: impl Future<Output = Result<Page, PageError>>,
    ) -> Result<Page, PageError> {
        let slot = self.slot(key, now)?;
        let mut error = PageError::Again;
        let fetched = async { fetch.await.map_err(|own| error = own).ok() };
        let page = slot.page.get_or_init(|| fetched).await.clone();
        page.ok_or(error)
    }

    fn slot(&self, key: Key, now: u64) -> Result<Arc<Slot>, PageError> {
        let mut table = self.0.lock();
        if let Some(slot) = table.slots.get(&key).filter(|slot| slot.serves(now)) {
            return Ok(Arc::clone(slot));
        }
        table.slots.retain(|_key, slot| slot.serves(now));
        let of_it = table.slots.keys().filter(|other| other.distribution == key.distribution).count();
        if of_it >= MAX || table.slots.len() >= MAX_ALL {
            if table.told.is_none_or(|told| now.saturating_sub(told) >= LIFE) {
                table.told = Some(now);
                tracing::warn!(
                    host = &*key.host,
                    "more than {MAX} pages for refusals in a second: the others go out without"
                );
            }
            return Err(PageError::Busy);
        }
        let slot = Arc::new(Slot { begun: now, page: OnceCell::new() });
        table.slots.insert(key, Arc::clone(&slot));
        Ok(slot)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    fn key(host: usize) -> Key {
        Key { snapshot: 1, distribution: 0, https: false, host: host.to_string().into(), target: "/".into() }
    }

    async fn page(fetches: &AtomicUsize) -> Result<Page, PageError> {
        fetches.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        Ok(Page { headers: HeaderMap::new(), body: Bytes::from_static(b"page") })
    }

    #[tokio::test]
    async fn a_page_is_fetched_once_a_second_also_one_that_fails() {
        let (refusals, fetches) = (Refusals::default(), AtomicUsize::new(0));
        let all = (0..100).map(|at| refusals.get(key(0), at, page(&fetches)));
        assert!(futures_util::future::join_all(all).await.iter().all(Result::is_ok));
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
        assert!(refusals.get(key(0), LIFE, page(&fetches)).await.is_ok());
        assert_eq!(fetches.load(Ordering::Relaxed), 2);
        let fails = || async { Err(PageError::Timeout) };
        assert!(matches!(refusals.get(key(1), 0, fails()).await, Err(PageError::Timeout)));
        assert!(matches!(refusals.get(key(1), 1, page(&fetches)).await, Err(PageError::Again)));
    }

    #[tokio::test]
    async fn there_are_not_more_than_so_many_at_once_and_who_leaves_makes_room() {
        let (refusals, fetches) = (Refusals::default(), AtomicUsize::new(0));
        for host in 0..MAX {
            assert!(refusals.get(key(host), 0, page(&fetches)).await.is_ok());
        }
        assert!(matches!(refusals.get(key(MAX), 0, page(&fetches)).await, Err(PageError::Busy)));
        // Another distribution has its own.
        assert!(refusals.get(Key { distribution: 1, ..key(MAX) }, 0, page(&fetches)).await.is_ok());
        assert!(refusals.get(key(MAX), LIFE, page(&fetches)).await.is_ok());
        // A fetch that is given up by all who waited is begun anew.
        let left = tokio::time::timeout(std::time::Duration::ZERO, refusals.get(key(1), LIFE, std::future::pending()));
        assert!(left.await.is_err());
        assert!(refusals.get(key(1), LIFE, page(&fetches)).await.is_ok());
    }
}
