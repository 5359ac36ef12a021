//! What takes minutes: hostile hooks beside clean traffic, a thousand reloads, the ends of calls that do not want to end.
//! Each runs here in a short form that asserts what no machine may get wrong; `make soak` runs the long forms, which also
//! assert times and memory, and prints the numbers. The edge is a process of its own.
#![expect(clippy::print_stdout, reason = "the numbers are what a soak test is for")]

mod failover;
mod idle;
mod latency;
mod load;
mod reloads;
mod site;
mod storm;
