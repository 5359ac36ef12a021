//! How many requests an origin works on at once, and who waits for a place.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A request's place; left when it is dropped.
pub type Place = OwnedSemaphorePermit;

/// See the module's text. Kept over reloads while the limit is the same; with another limit, requests that are at work on
/// the old one are not counted on the new.
#[derive(Debug)]
pub struct Room {
    most: u32,
    places: Arc<Semaphore>,
    waiting: AtomicU32,
}

impl Room {
    /// With so many places.
    pub(super) fn new(most: u32) -> Self {
        let places = usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        Self { most, places: Arc::new(Semaphore::new(places)), waiting: AtomicU32::new(0) }
    }

    /// The limit.
    #[must_use]
    pub fn most(&self) -> u32 {
        self.most
    }

    /// Requests at work.
    #[must_use]
    pub fn at_work(&self) -> u32 {
        let free = u32::try_from(self.places.available_permits()).unwrap_or(u32::MAX);
        self.most.saturating_sub(free)
    }

    /// Requests that wait.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A place, now or within `wait`: first come, first served. As many may wait as there are places; none for the others.
    pub async fn enter(&self, wait: Duration) -> Option<Place> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        if wait.is_zero() {
            return None;
        }
        // Given back however the wait ends: the viewer may leave.
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.most {
            return None;
        }
        let place = tokio::time::timeout(wait, Arc::clone(&self.places).acquire_owned()).await;
        drop(waiting);
        place.ok()?.ok()
    }
}

struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn so_many_enter_as_many_wait_and_the_rest_is_sent_away() {
        let room = Arc::new(Room::new(1));
        let first = room.enter(Duration::ZERO).await.unwrap();
        assert!(room.enter(Duration::ZERO).await.is_none(), "full, and it does not wait");
        let queue = Arc::clone(&room);
        let second = tokio::spawn(async move { queue.enter(Duration::from_secs(30)).await });
        while room.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(room.enter(Duration::from_secs(30)).await.is_none(), "the queue is full too");
        assert_eq!((room.at_work(), room.waiting()), (1, 1));
        drop(first);
        let second = second.await.unwrap();
        assert!(second.is_some());
        assert_eq!((room.at_work(), room.waiting()), (1, 0));
        assert!(room.enter(Duration::from_millis(1)).await.is_none(), "its time is up");
        drop(second);
        assert_eq!((room.at_work(), room.waiting()), (0, 0));
    }
}
