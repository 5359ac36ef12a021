//! The cache end to end: what is stored, under which key, how long, and what viewers are told. Rules of RFC 9111 are named.

mod collapsing;
mod conditional;
mod fresh;
mod keys;
mod large;
mod ranges;
mod storing;
mod support;
mod vary;
