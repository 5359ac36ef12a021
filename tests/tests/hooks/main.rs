//! Hooks in the way of a request: when each stage runs, what it may change, what a broken hook can and cannot do.

mod ab_test;
mod basic_auth;
mod bodies;
mod budgets;
mod compiling;
mod edits;
mod faults;
mod grants;
mod guarded;
mod isolation;
mod jwt_auth;
mod last_good;
mod leaks;
mod loading;
mod on_errors;
mod redirects;
mod settings;
mod shipped;
mod stages;
mod support;
