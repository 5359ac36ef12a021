//! Whose fault it is that a request failed after its origin was asked: the viewer's or the origin's. Knows no answers.

use pingora::{Error, ErrorSource, ErrorType};

use super::context::RequestCtx;
use crate::fault::Fault;
use crate::runtime::head::HeadFlaw;

/// What a failure means. An origin that keeps silent because the viewer has not sent the request to its end is not late: no
/// complete request came in time (RFC 9110, 15.5.9). Where the origin is what stops the upload, writing to it fails first.
pub(super) fn of(ctx: &RequestCtx, error: &Error) -> Fault {
    if let Some(fault) = ctx.fault {
        return fault;
    }
    let late = is_late(ctx);
    let silent = late || matches!(error.etype(), ErrorType::ReadTimedout);
    match (silent && ctx.incomplete && ctx.origin_status.is_none(), late) {
        (true, _) => Fault::ViewerTimeout,
        (false, true) => Fault::OriginTimeout,
        (false, false) => Fault::of(error),
    }
}

/// What was wrong with the lines of a chunked body, where that is why it cannot be read on. The flow answers for it.
pub(super) fn of_body(ctx: &RequestCtx, error: &Error) -> Option<Fault> {
    if ctx.fault.is_some() || *error.esource() != ErrorSource::Downstream {
        return None;
    }
    ctx.own_conn()?.take_flaw().map(HeadFlaw::fault)
}

/// Whether the sweep found that what is awaited after a request was sent does not come.
pub(super) fn is_late(ctx: &RequestCtx) -> bool {
    ctx.swept && ctx.own_conn().is_some_and(|conn| conn.origin_is_late())
}
