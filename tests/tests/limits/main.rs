//! API keys, usage plans and throttles, with a clock that stands still unless the test moves it.

mod answers;
mod authorizers;
mod cors;
mod keys;
mod levels;
mod support;
mod throttles;
