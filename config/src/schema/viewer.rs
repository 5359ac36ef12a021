//! How the edge knows who asks, and under which names it tells of it.

use crate::decode::{HeaderName, keywords, table};
use crate::model::AddressHeader;

table! {
    /// How the edge knows who asks, and under which names it tells of it.
    Viewer {
        /// The field in which `trusted_proxies` say who asks: "x-forwarded-for", or "forwarded" (RFC 7239). The other one is
        /// not read. Default: "x-forwarded-for".
        address_header: Opt<AddressHeader>,
        /// What the names of fields with facts about the viewer begin with, in place of "CloudFront-", such as "Edge-". What
        /// viewers send under such a name is dropped. Default: "CloudFront-".
        header_prefix: Opt<HeaderName>,
    }
}

keywords!(AddressHeader { "x-forwarded-for" => XForwardedFor, "forwarded" => Forwarded });
