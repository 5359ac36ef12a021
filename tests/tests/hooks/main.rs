//! Hooks in the way of a request: when each stage runs, what it may change, what a broken hook can and cannot do.

mod ab_test;
mod basic_auth;
mod bodies;
mod budgets;
mod charges;
mod compiling;
mod edits;
mod faults;
mod fetching;
mod grants;
mod guarded;
mod isolation;
mod jwks;
mod jwt_auth;
mod last_good;
mod leaks;
mod loading;
mod on_errors;
mod origins_by_host;
mod origins_view;
mod redirects;
mod request_bodies;
mod settings;
mod shipped;
mod stages;
mod support;
