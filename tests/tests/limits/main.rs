//! API keys, usage plans and throttles, with a clock that stands still unless the test moves it.

mod answers;
mod authorizers;
mod cors;
mod crashes;
mod keys;
mod levels;
mod live_keys;
mod places;
mod quotas;
mod secrets;
mod shared;
mod signed;
mod support;
mod throttles;
