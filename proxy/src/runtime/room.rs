//! Memory that requests share for bodies that are held. What is taken is given back when it is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much is taken, in bytes. The limit is the asker's: it may change with a reload.
#[derive(Debug, Default)]
pub struct Memory {
    taken: AtomicUsize,
}

impl Memory {
    /// Bytes that are taken now.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

/// A part of the memory.
#[derive(Debug)]
pub struct Room {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Room {
    /// Nothing, for now.
    #[must_use]
    pub fn new(memory: &Arc<Memory>) -> Self {
        Self { memory: Arc::clone(memory), bytes: 0 }
    }

    /// Makes this part so many bytes large. Returns whether there was room: if not, nothing changes.
    #[must_use]
    pub fn resize(&mut self, bytes: usize, limit: usize) -> bool {
        let Some(more) = bytes.checked_sub(self.bytes) else {
            self.memory.taken.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            self.bytes = bytes;
            return true;
        };
        let taken = self.memory.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
            taken.checked_add(more).filter(|&sum| sum <= limit)
        });
        if taken.is_ok() {
            self.bytes = bytes;
        }
        taken.is_ok()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.memory.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back_and_the_limit_holds() {
        let memory = Arc::new(Memory::default());
        let (mut one, mut two) = (Room::new(&memory), Room::new(&memory));
        assert!(one.resize(60, 100) && !two.resize(41, 100) && two.resize(40, 100));
        assert_eq!(memory.taken(), 100);
        assert!(one.resize(10, 100) && two.resize(90, 100));
        assert!(!two.resize(usize::MAX, 100));
        drop(two);
        assert_eq!(memory.taken(), 10);
        drop(one);
        assert_eq!(memory.taken(), 0);
    }
}
