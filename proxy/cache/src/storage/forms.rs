//! The coded forms of a stored object: made when the first viewer wants one, kept with it, counted with it.
//!
//! While a form is made, others get the plain one, as they do when there is more to compress than there are workers for it
//! (CloudFront compresses "on a best-effort basis" too). What does not get smaller is not tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use moka::ops::compute::Op;

use super::MokaStorage;
use super::object::{Body, Meta, Object, ObjectId};
use crate::compress::{self, Coding};

/// Stands for "looked at, and not compressed at all".
const NEVER: u8 = 1 << 7;

/// The forms of an object.
#[derive(Debug, Default)]
pub(super) struct Forms {
    made: [Option<Arc<Object>>; Coding::COUNT],
    /// A bit for each coding that was tried or is being made.
    tried: AtomicU8,
}

/// Whether there is a form.
pub(super) enum Ready {
    /// There is.
    Form(Arc<Object>),
    /// There is none, and there will be none for now.
    Plain,
    /// It has to be made, if it can be.
    No,
}

impl Forms {
    /// The same forms under the header that a revalidation made; none if that forbids them, as `no-transform` does.
    pub(super) fn refreshed(&self, meta: &Meta) -> Self {
        if !compress::eligible(meta.header()) {
            return Self::default();
        }
        let form = |(at, form): (usize, &Option<Arc<Object>>)| {
            let form = form.as_ref()?;
            let coding = Coding::ALL[at];
            Some(Arc::new(Object::new(Arc::new(meta.coded(coding, Some(form.body.len()))), form.body.clone())))
        };
        let mut made = <[Option<Arc<Object>>; Coding::COUNT]>::default();
        for (slot, found) in made.iter_mut().zip(self.made.iter().enumerate().map(form)) {
            *slot = found;
        }
        // What the new header allows is looked at again.
        Self { made, tried: AtomicU8::new(self.tried.load(Ordering::Relaxed) & !NEVER) }
    }

    /// None so far, while those of these bits are being made.
    pub(super) fn being_made(codings: u8) -> Self {
        Self { made: <[Option<Arc<Object>>; Coding::COUNT]>::default(), tried: AtomicU8::new(codings) }
    }

    /// What there is for who wants this coding.
    pub(super) fn ready(&self, coding: Coding) -> Ready {
        if let Some(form) = &self.made[coding as usize] {
            return Ready::Form(Arc::clone(form));
        }
        let tried = self.tried.load(Ordering::Relaxed) & (NEVER | 1 << coding as u8) != 0;
        if tried { Ready::Plain } else { Ready::No }
    }

    fn with(&self, coding: Coding, form: Arc<Object>) -> Self {
        let mut made = self.made.clone();
        made[coding as usize] = Some(form);
        Self { made, tried: AtomicU8::new(self.tried.load(Ordering::Relaxed)) }
    }

    /// Bytes of all forms.
    pub(super) fn weight(&self) -> usize {
        self.made.iter().flatten().map(|form| form.weight() as usize).sum()
    }
}

fn form_of(plain: &Meta, coding: Coding, body: &Body) -> Arc<Object> {
    Arc::new(Object::new(Arc::new(plain.coded(coding, Some(body.len()))), body.clone()))
}

impl MokaStorage {
    /// Makes the form of an object that a viewer wants; gives the object itself if that cannot be done now.
    pub(super) async fn form(
        &'static self,
        key: u128,
        object: Arc<Object>,
        coding: Coding,
    ) -> (Arc<Object>, Option<Coding>) {
        let forms = &object.forms;
        if !compress::eligible(object.meta.header()) {
            forms.tried.fetch_or(NEVER, Ordering::Relaxed);
            return (object, None);
        }
        // Best effort: with all workers busy, a later viewer gets it coded.
        let Ok(permit) = self.compressors.try_acquire() else { return (object, None) };
        if forms.tried.fetch_or(1 << coding as u8, Ordering::Relaxed) & 1 << coding as u8 != 0 {
            return (object, None);
        }
        let plain = Arc::clone(&object);
        // To its end, also if the viewer leaves.
        let made = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let coded = Body::pack(&[compress::encode(&plain.body.pieces(), coding).ok()??]);
            let kept = self.keep(key, plain.meta.id(), coding, &coded);
            Some(kept.unwrap_or_else(|| form_of(&plain.meta, coding, &coded)))
        });
        match made.await {
            Ok(Some(form)) => (form, Some(coding)),
            _ => (object, None),
        }
    }

    /// Puts a new form beside the object that it was made of, if that is still stored, under the header that it has now.
    pub(super) fn keep(&self, key: u128, made_of: ObjectId, coding: Coding, body: &Body) -> Option<Arc<Object>> {
        let mut kept = None;
        self.objects.entry(key).and_compute_with(|entry| match entry {
            Some(entry) if entry.value().meta.id() == made_of => {
                let plain = entry.value();
                let form = form_of(&plain.meta, coding, body);
                kept = Some(Arc::clone(&form));
                Op::Put(Arc::new(plain.with_forms(plain.forms.with(coding, form))))
            }
            _ => Op::Nop,
        });
        kept
    }
}
