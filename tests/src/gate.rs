//! A gate that a test opens: an origin's script can wait at it, so that a test decides when a response goes on.

use std::sync::Arc;

use tokio::sync::watch;

/// Closed until [`Gate::open`] is called; all who wait pass then. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everyone through, now and later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Waits until the gate is open. Has no deadline of its own: the client side of the test has one.
    pub async fn passed(&self) {
        let mut state = self.0.subscribe();
        // The sender is in `self`, so it cannot be gone.
        let open = state.wait_for(|open| *open).await;
        drop(open);
    }
}
