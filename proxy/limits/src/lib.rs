//! Edgeweir's limits: token buckets, all-or-nothing tickets over several of them, usage plans and API keys.
//!
//! This crate decides; it does no I/O, reads no clock and knows no configuration format, HTTP library or runtime. Time
//! comes in as [`Nanos`] from the caller's monotonic clock, which is what lets a test pass a day in a microsecond.
//!
//! The way through it, for one request:
//! 1. [`presented`] hashes what a viewer sent; a [`KeyTable`] or [`LiveKeys`] has the [`Key`], [`Plans::plan_for`] its usage
//!    plan, [`Found::slot`] the key's bucket and [`Meter`] in it.
//! 2. [`Levels`] names the buckets that apply; [`Levels::reserve`] takes from all of them or from none.
//! 3. [`Meter::take`] takes one request of the quota, out of a lease that a store has given.
//! 4. The [`Ticket`] is committed, refunded, or dropped (which keeps the charge).
//! 5. [`Gauge`] and [`ClientGauges`] say how many requests may be at work at once; [`InFlight`] leaves when it is dropped.
//! 5. [`fields`] writes `RateLimit`, `RateLimit-Policy` and `Retry-After`.
//!
//! The buckets themselves live in the [`BucketRegistry`], once per process, so that a reload forgets no charge.
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test may panic"))]

mod bucket;
mod clients;
pub mod fields;
mod in_flight;
mod keys;
mod meter;
pub mod period;
mod plans;
mod quota;
mod registry;
mod sync;
mod throttle;
mod ticket;
mod time;

pub use bucket::{Bucket, Charge, Wait};
pub use clients::{Client, ClientBuckets, ClientCharge, MAX_CLIENTS};
pub use in_flight::{ClientGauges, Gauge, InFlight};
pub use keys::{
    Found, Key, KeyHash, KeyHashError, KeyTable, KeyTableError, KeyUsage, LiveKeys, MAX_PRESENTED_KEY, Slot, SlotRef,
    presented,
};
pub use meter::{Counted, Demand, Lease, Meter, MeterStanding, Take};
pub use period::Period;
pub use plans::{PlanId, PlanNames, PlanSet, Plans, Reach, UsagePlan};
pub use quota::{Counts, Quota};
pub use registry::{BucketRegistry, Draft, DraftError};
pub use throttle::{Throttle, ThrottleError};
pub use ticket::{KeptTicket, LevelKind, Levels, Refused, Standing, Ticket};
pub use time::Nanos;
