//! The four stages as types: what may be edited at which of them is known when the hook is compiled.

use crate::bindings::imports::edgeweir::hook::types::HeaderEdit;

mod sealed {
    pub trait Sealed {}
}

/// A stage of a request. Only the four types of this module implement it.
pub trait Stage: sealed::Sealed {
    /// The stage's name, as in the config: `viewer-request`, …
    const NAME: &'static str;
    #[doc(hidden)]
    type Edit;
    #[doc(hidden)]
    fn header(edit: HeaderEdit) -> Self::Edit;
}

/// A stage that edits the request and may answer it: [`ViewerRequest`] and [`OriginRequest`].
pub trait RequestStage: Stage {
    #[doc(hidden)]
    fn path(path: String) -> Self::Edit;
    #[doc(hidden)]
    fn query(query: Option<String>) -> Self::Edit;
    #[doc(hidden)]
    fn origin(name: String) -> Self::Edit;
    #[doc(hidden)]
    fn note(note: String) -> Self::Edit;
    #[doc(hidden)]
    fn request_body(body: Vec<u8>) -> Self::Edit;
}

macro_rules! stages {
    ($($(#[$doc:meta])* $stage:ident, $module:ident, $name:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $stage {}

        impl sealed::Sealed for $stage {}

        impl Stage for $stage {
            const NAME: &'static str = $name;
            type Edit = crate::bindings::$module::exports::edgeweir::hook::$module::Edit;
            fn header(edit: HeaderEdit) -> Self::Edit {
                Self::Edit::Header(edit)
            }
        }
    )*};
}

stages! {
    /// Every request, before the cache.
    ViewerRequest, viewer_request, "viewer-request";
    /// Before the origin is asked.
    OriginRequest, origin_request, "origin-request";
    /// After the origin answered, before the response is stored.
    OriginResponse, origin_response, "origin-response";
    /// Before the response goes to the viewer, hit or miss.
    ViewerResponse, viewer_response, "viewer-response";
}

macro_rules! request_stages {
    ($($stage:ident)*) => {$(
        impl RequestStage for $stage {
            fn path(path: String) -> Self::Edit {
                Self::Edit::Path(path)
            }
            fn query(query: Option<String>) -> Self::Edit {
                Self::Edit::Query(query)
            }
            fn origin(name: String) -> Self::Edit {
                Self::Edit::Origin(name)
            }
            fn note(note: String) -> Self::Edit {
                Self::Edit::Note(note)
            }
            fn request_body(body: Vec<u8>) -> Self::Edit {
                Self::Edit::Body(body)
            }
        }
    )*};
}

request_stages!(ViewerRequest OriginRequest);

/// A stage that edits the response: [`OriginResponse`] and [`ViewerResponse`].
pub trait ResponseStage: Stage {
    #[doc(hidden)]
    fn status(status: u16) -> Self::Edit;
    #[doc(hidden)]
    fn body(body: Vec<u8>) -> Self::Edit;
}

macro_rules! response_stages {
    ($($stage:ident)*) => {$(
        impl ResponseStage for $stage {
            fn status(status: u16) -> Self::Edit {
                Self::Edit::Status(status)
            }
            fn body(body: Vec<u8>) -> Self::Edit {
                Self::Edit::Body(body)
            }
        }
    )*};
}

response_stages!(OriginResponse ViewerResponse);
