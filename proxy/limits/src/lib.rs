//! Edgeweir's limits: token buckets, all-or-nothing tickets over several of them, usage plans and API keys.
//!
//! This crate decides; it does no I/O, reads no clock and knows no configuration format, HTTP library or runtime. Time
//! comes in as [`Nanos`] from the caller's monotonic clock, which is what lets a test pass a day in a microsecond.
//!
//! The way through it, for one request:
//! 1. [`KeyStore::lookup`] turns a presented API key into a [`KeyEntry`], [`Plans::plan_for`] into its usage plan.
//! 2. [`Levels`] names the buckets that apply; [`Levels::reserve`] takes from all of them or from none.
//! 3. The [`Ticket`] is committed, refunded, or dropped (which keeps the charge).
//! 4. [`Gauge`] and [`ClientGauges`] say how many requests may be at work at once; [`InFlight`] leaves when it is dropped.
//! 5. [`fields`] writes `RateLimit`, `RateLimit-Policy` and `Retry-After`.
//!
//! The buckets themselves live in the [`BucketRegistry`], once per process, so that a reload forgets no charge.
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test may panic"))]

mod bucket;
mod clients;
pub mod fields;
mod in_flight;
mod keys;
mod plans;
mod registry;
mod sync;
mod throttle;
mod ticket;
mod time;

pub use bucket::{Bucket, Charge, Wait};
pub use clients::{Client, ClientBuckets, ClientCharge, MAX_CLIENTS};
pub use in_flight::{ClientGauges, Gauge, InFlight};
pub use keys::{KeyEntry, KeyHash, KeyHashError, KeyStore, KeyStoreError, MAX_PRESENTED_KEY};
pub use plans::{Plans, PlansError, Reach, UsagePlan};
pub use registry::{BucketRegistry, Draft, DraftError};
pub use throttle::{Throttle, ThrottleError};
pub use ticket::{LevelKind, Levels, Refused, Standing, Ticket};
pub use time::Nanos;
