//! The cache and its policies.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::Spanned;

use crate::decode::{
    Count, Decode, HeaderName, List, Named, Network, Node, Size, Text, Time, keyword_or, keywords, table,
};
use crate::model::{Coding, Eviction, KeyLeaks, SetCookie, TargetedFields, ViewerDirectives};
use crate::report::{Problem, Report};

const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;
/// 365 days in milliseconds: CloudFront's longest default (31,536,000 s).
const YEAR: u64 = 365 * 86_400_000;

table! {
    /// How much the cache may hold.
    Cache {
        /// All objects together, 1MiB to 16TiB. Default: "256MiB". A change needs a restart.
        capacity: Opt<Size<MIB, {16 * TIB}>>,
        /// Largest object that is stored, at most `capacity`. Default: "64MiB", or `capacity` if that is less.
        max_object: Opt<Size<1, {16 * TIB}>>,
        /// Which objects make room when the cache is full: "tinylfu" keeps what is asked for often, and does not let in what is
        /// asked for less often than what it would push out; "lru" lets everything in and drops what was not asked for
        /// longest. Default: "tinylfu". A change needs a restart.
        eviction: Opt<Eviction>,
        /// Networks of viewers that may send `PURGE`, by the address that `trusted_proxies` give. For others, and by
        /// default for all, it is a method like any other.
        purge_from: Opt<List<Network>>,
    }
}

keywords!(Eviction { "lru" => Lru, "tinylfu" => TinyLfu });
keywords!(Coding { "br" => Brotli, "gzip" => Gzip, "zstd" => Zstd });

table! {
    /// Whether and how long responses are stored, and under which key.
    CachePolicy {
        /// Shortest time an object stays fresh, whatever the origin says, up to 365d. Default: "0s".
        min_ttl: Opt<Time<0, YEAR>>,
        /// Time an object stays fresh if the origin says nothing, up to 365d. Default: "0s", or `min_ttl` if that is
        /// more.
        default_ttl: Opt<Time<0, YEAR>>,
        /// Longest time an object stays fresh, whatever the origin says, up to 365d. Default: "365d".
        max_ttl: Opt<Time<0, YEAR>>,
        /// Request headers in the cache key. Default: none.
        headers: Opt<List<HeaderName>>,
        /// Cookies in the cache key: "none", "all", a list of names, { only = [names] } or { except = [names] }.
        /// Default: "none".
        cookies: Opt<Selection>,
        /// Query parameters in the cache key: "none", "all", a list of names, { only = [names] } or
        /// { except = [names] }. Default: "all".
        query: Opt<Selection>,
        /// Response headers with the tags of an object, for purges, separated by commas or blanks; at most 64. Default:
        /// ["Cache-Tag", "Surrogate-Key"].
        tag_headers: Opt<List<HeaderName>>,
        /// Send the headers with the tags to viewers too. Default: false.
        send_tags: Opt<bool>,
        /// Compress what origins send plain, for viewers that accept it, the first preferred: "br", "gzip", "zstd".
        /// Only texts and the like of 1,000 to 10,000,000 bytes. Default: none.
        compress: Opt<List<Coding>>,
        /// Codings that the origin may be asked for: "br", "gzip", "zstd". It gets `Accept-Encoding` with those of them that
        /// the viewer accepts, in this one spelling, and that is part of the cache key, as CloudFront's
        /// `EnableAcceptEncodingGzip` and `…Brotli` do. Default: none; the origin gets what the viewer sent, and its `Vary`
        /// decides.
        accept_encoding: Opt<List<Coding>>,
        /// Viewers' header fields that the origin gets beside those in the key, where the answer may be stored: "none", "all",
        /// a list of names, { only = [names] } or { except = [names] }. Default: "all".
        forward_headers: Opt<Selection>,
        /// Cookies that the origin gets beside those in the key, where the answer may be stored; an answer without a lifetime
        /// is not stored then. Default: "none".
        forward_cookies: Opt<Selection>,
        /// Query parameters that the origin gets beside those in the key, where the answer may be stored. Default: "none".
        forward_query: Opt<Selection>,
        /// Guess how long an object stays fresh from its `Last-Modified` where the origin does not say (RFC 9111, 4.2.2):
        /// a tenth of the time since then, a day at most. Default: false.
        heuristic: Opt<bool>,
        /// How long an object may be served stale while it is fetched again, if the origin does not say, up to 365d.
        /// Default: "0s".
        stale_while_revalidate: Opt<Time<0, YEAR>>,
        /// How long an object may be served stale when the origin cannot be reached or answers with 5xx, if the origin does
        /// not say, up to 365d. Default: "1d".
        stale_if_error: Opt<Time<0, YEAR>>,
        /// Shortest time that errors stay fresh, by status from 400 to 599: { 404 = "1m", 503 = "5s" }. Such a status is
        /// stored also if the origin does not say how long it lives; with "0s" never. Not for 401, 407, 412, 416, 417, 421, 428,
        /// 429, 431, 505 and 511, which are never stored.
        errors: Opt<Named<Time<0, YEAR>>>,
        /// Responses that set cookies: "refuse" does not store them, "strip" stores them without the cookies. Default:
        /// "refuse".
        set_cookie: Opt<SetCookie>,
        /// Whether viewers may ask for more than a fresh object by `Cache-Control: no-cache`, `max-age`, `min-fresh`,
        /// `max-stale` and `Pragma`: "ignore", "honour", or "trusted" for those whose address is in
        /// `trusted_proxies`. Default: "ignore", as in CloudFront: who may send `no-cache` can make the edge ask the
        /// origin for each request.
        viewer_directives: Opt<ViewerDirectives>,
        /// Whether viewers get `CDN-Cache-Control` and `Surrogate-Control`: "keep" or "remove". Default: "keep".
        targeted_fields: Opt<TargetedFields>,
        /// How long requests for an object wait for one that fetches it already, before they fetch it themselves, up to 5m;
        /// "0s" makes none wait, and fetches nothing in the background. Default: "5s".
        collapse: Opt<Time<0, 300_000>>,
        /// Store an object only from this request for it on, 1 to 15, so that what is asked for once takes no room. Until then
        /// requests pass to the origin as they are. Default: 1.
        admit_after: Opt<Count<1, 15>>,
        /// The time within which the requests of `admit_after` have to come, 1s to 30d. Default: "1h".
        admit_within: Opt<Time<1_000, {30 * 86_400_000}>>,
        /// Say in `X-Cache`, in CloudFront's words, what the cache did. Default: false.
        x_cache: Opt<bool>,
        /// What happens to a response that may depend on something that a hook read and that is neither in the cache key nor
        /// in `Vary`: "ignore", "warn" (log and metric), or "refuse" to store it. Default: "warn".
        key_leaks: Opt<KeyLeaks>,
    }
}

keywords!(SetCookie { "refuse" => Refuse, "strip" => Strip });
keywords!(ViewerDirectives { "ignore" => Ignore, "honour" => Honour, "trusted" => Trusted });
keywords!(TargetedFields { "keep" => Keep, "remove" => Remove });
keywords!(KeyLeaks { "ignore" => Ignore, "warn" => Warn, "refuse" => Refuse });

/// Which of a set of named things count.
#[derive(Debug)]
pub(crate) enum Selection {
    /// None.
    None,
    /// All.
    All,
    /// These.
    Only(Vec<Spanned<Text>>),
    /// All but these.
    Except(Vec<Spanned<Text>>),
}

table! {
    /// Some of a set of named things.
    SelectionTable {
        /// These and no others.
        only: Opt<List<Text>>,
        /// All but these.
        except: Opt<List<Text>>,
    }
}

impl Decode for Selection {
    fn decode(node: &Node<'_>, key: &str, out: &mut Report) -> Option<Self> {
        if node.get_ref().is_array() {
            return Some(Self::Only(List::decode(node, key, out)?.items));
        }
        if !node.get_ref().is_table() {
            let wanted = "\"none\", \"all\", an array, `{ only = [ … ] }` or `{ except = [ … ] }`";
            let words = [("none", false), ("all", true)];
            let forms = ["`[ … ]`", "`{ only = [ … ] }`", "`{ except = [ … ] }`"];
            let all = keyword_or(node, key, wanted, &words, &forms, out)?;
            return Some(if all { Self::All } else { Self::None });
        }
        let table = SelectionTable::decode(node, key, out)?;
        if table.only.is_absent() == table.except.is_absent() {
            out.push(
                Problem::error("bad-selection", node.span(), format!("`{key}` needs either `only` or `except`"))
                    .help("write `{ only = [ … ] }` or `{ except = [ … ] }`"),
            );
            return None;
        }
        match (table.only.into_value(), table.except.into_value()) {
            (Some(only), _) => Some(Self::Only(only.items)),
            (_, Some(except)) => Some(Self::Except(except.items)),
            _ => None,
        }
    }
}

impl JsonSchema for Selection {
    fn schema_name() -> Cow<'static, str> {
        "Selection".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [
            { "enum": ["none", "all"] },
            generator.subschema_for::<List<Text>>(),
            generator.subschema_for::<SelectionTable>(),
        ] })
    }
}
