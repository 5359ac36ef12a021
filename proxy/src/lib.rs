//! Edgeweir as a library: the binary is thin, and tests start whole edges in process.
//!
//! [`edge::Edge`] is the way in. The rooms: [`runtime`] is the impure rim (sockets, clock, signals), [`snapshot`] is what a
//! request may consult, [`flow`] is the way of a request, [`fault`] is the only table from errors to answers.

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "tests may panic"))]

pub mod acme;
pub mod admin;
pub mod cli;
pub mod edge;
pub mod fault;
pub mod fetch;
mod files;
pub mod flow;
pub mod geo;
pub mod jwks;
mod negotiate;
pub mod origin;
pub mod pages;
pub mod purge;
pub mod runtime;
pub mod signed;
pub mod sigv4;
pub mod snapshot;
pub mod state;
pub mod statics;
pub mod telemetry;
pub mod tls;
pub mod versions;
