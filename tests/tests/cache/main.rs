//! The cache end to end: what is stored, under which key, how long, and what viewers are told. Rules of RFC 9111 are named.

mod accept_encoding;
mod admission;
mod collapsing;
mod compressing;
mod compressing_flight;
mod conditional;
mod crowd;
mod directives;
mod fresh;
mod heads;
mod hostile;
mod http2;
mod invalidation;
mod keys;
mod large;
mod mixed;
mod purging;
mod ranges;
mod stale;
mod storing;
mod support;
mod targeted;
mod told;
mod uncacheable;
mod validation;
mod vary;
