//! Which field of a response tells a shared cache what to do: `CDN-Cache-Control` (RFC 9213), else `Surrogate-Control`
//! (W3C Note "Edge Architecture Specification", 2001, §2.3), else `Cache-Control`.
//!
//! A targeted field stands in for `Cache-Control` and `Expires` as a whole (RFC 9213 §2.2): nothing of them counts then.
//! It must not know what is decided from the directives.

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use crate::cache_control::{Directive, MAX_DELTA_SECONDS, ResponseDirectives, delta_seconds, directives_in};

/// `CDN-Cache-Control`.
pub const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");
/// `Surrogate-Control`.
pub const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");

/// The field that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `CDN-Cache-Control`.
    Cdn,
    /// `Surrogate-Control`.
    Surrogate,
    /// `Cache-Control`, and `Expires` beside it.
    CacheControl,
}

/// The directives of the field that counts, and which it is.
pub(crate) fn directives_of(headers: &HeaderMap) -> (ResponseDirectives, Source) {
    if headers.contains_key(CDN_CACHE_CONTROL)
        && let Some(found) = cdn(headers)
    {
        return (found, Source::Cdn);
    }
    if headers.contains_key(SURROGATE_CONTROL)
        && let Some(found) = surrogate(headers)
    {
        return (found, Source::Surrogate);
    }
    (ResponseDirectives::of(headers), Source::CacheControl)
}

/// `None` if the field is to be ignored: it is empty or no dictionary (RFC 9213 §2.1), or a directive that is known here
/// has a value of the wrong type.
fn cdn(headers: &HeaderMap) -> Option<ResponseDirectives> {
    // Lines are combined before they are parsed (RFC 9651 §4.2).
    let mut text = Vec::new();
    for line in headers.get_all(CDN_CACHE_CONTROL) {
        if !text.is_empty() {
            text.extend_from_slice(b", ");
        }
        text.extend_from_slice(line.as_bytes());
    }
    let dictionary = Parser::parse_dictionary(&text).ok().filter(|members| !members.is_empty())?;
    Some(ResponseDirectives {
        no_store: flag(&dictionary, "no-store")?,
        no_cache: whole_response(&dictionary, "no-cache"),
        private: whole_response(&dictionary, "private"),
        qualified: false,
        public: flag(&dictionary, "public")?,
        must_understand: flag(&dictionary, "must-understand")?,
        must_revalidate: flag(&dictionary, "must-revalidate")?,
        proxy_revalidate: flag(&dictionary, "proxy-revalidate")?,
        max_age: seconds(&dictionary, "max-age")?,
        s_maxage: seconds(&dictionary, "s-maxage")?,
        stale_while_revalidate: seconds(&dictionary, "stale-while-revalidate")?,
        stale_if_error: seconds(&dictionary, "stale-if-error")?,
    })
}

fn item<'a>(dictionary: &'a Dictionary, name: &str) -> Option<&'a ListEntry> {
    dictionary.get(name)
}

/// A directive without an argument; `None` for a value of another type.
fn flag(dictionary: &Dictionary, name: &str) -> Option<bool> {
    match item(dictionary, name) {
        None => Some(false),
        Some(ListEntry::Item(found)) => found.bare_item.as_bool(),
        Some(ListEntry::InnerList(_)) => None,
    }
}

/// `no-cache` and `private` may have fields as an argument: the whole response is meant all the same.
fn whole_response(dictionary: &Dictionary, name: &str) -> bool {
    !matches!(flag(dictionary, name), Some(false))
}

/// `Some(None)` when it is not there, `None` when its value is no integer. A negative one is 0.
#[expect(clippy::option_option, reason = "the outer one is the verdict on the field")]
fn seconds(dictionary: &Dictionary, name: &str) -> Option<Option<u32>> {
    match item(dictionary, name) {
        None => Some(None),
        Some(ListEntry::Item(found)) => match found.bare_item {
            BareItem::Integer(value) => {
                Some(Some(u32::try_from(value.max(0)).unwrap_or(MAX_DELTA_SECONDS).min(MAX_DELTA_SECONDS)))
            }
            _ => None,
        },
        Some(ListEntry::InnerList(_)) => None,
    }
}

/// `None` if the field says nothing that is known here.
fn surrogate(headers: &HeaderMap) -> Option<ResponseDirectives> {
    let all = || directives_in(headers, &SURROGATE_CONTROL);
    let mut found =
        ResponseDirectives::from(all().map(|directive| Directive { value: fresh_part(&directive), ..directive }));
    // With fields as an argument the whole response is meant all the same, as in `CDN-Cache-Control`: no field is left out.
    found.qualified = false;
    for directive in all() {
        found.no_store |= directive.is("no-store-remote");
        found.private |= directive.is("private");
        found.no_cache |= directive.is("no-cache");
        if let (true, Some(stale)) = (directive.is("max-age"), stale_part(&directive)) {
            found.stale_while_revalidate = Some(found.stale_while_revalidate.map_or(stale, |known| known.min(stale)));
        }
    }
    (found != ResponseDirectives::default()).then_some(found)
}

/// Of `max-age=60+30` the 60.
fn fresh_part<'a>(directive: &Directive<'a>) -> Option<&'a [u8]> {
    let value = directive.value?;
    match value.iter().position(|byte| *byte == b'+') {
        Some(plus) if directive.is("max-age") => value.get(..plus),
        _ => Some(value),
    }
}

/// Of `max-age=60+30` the 30: how long the stale response may be used while it is fetched again.
fn stale_part(directive: &Directive<'_>) -> Option<u32> {
    let value = directive.value?;
    let plus = value.iter().position(|byte| *byte == b'+')?;
    delta_seconds(value.get(plus + 1..)?)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::CACHE_CONTROL;

    use super::*;

    fn of(fields: &[(HeaderName, &'static str)]) -> (ResponseDirectives, Source) {
        let headers: HeaderMap =
            fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        directives_of(&headers)
    }

    #[test]
    fn rfc9213_2_2_the_first_valid_target_stands_in_for_cache_control() {
        let (found, source) = of(&[(CACHE_CONTROL, "no-store"), (CDN_CACHE_CONTROL, "max-age=60, foo=(1 2);a")]);
        assert_eq!((found.no_store, found.max_age, source), (false, Some(60), Source::Cdn));
        let (found, source) = of(&[(SURROGATE_CONTROL, "max-age=5"), (CDN_CACHE_CONTROL, "max-age=60")]);
        assert_eq!((found.max_age, source), (Some(60), Source::Cdn));
        let (found, source) = of(&[(CACHE_CONTROL, "private"), (SURROGATE_CONTROL, "Max-Age=5")]);
        assert_eq!((found.private, found.max_age, source), (false, Some(5), Source::Surrogate));
    }

    #[test]
    fn rfc9213_2_1_what_is_no_structured_field_is_ignored() {
        let bad = [
            "",
            "max-age=10, &&&&",
            "max-age=\"10\"",
            "max-age=1.5",
            "max-age =10",
            "max-age= 10",
            "MAX-AGE=1",
            "max-age=(1)",
            "max-age",
            "no-store=1",
        ];
        for value in bad {
            let (found, source) = of(&[(CACHE_CONTROL, "max-age=7"), (CDN_CACHE_CONTROL, value)]);
            assert_eq!((found.max_age, source), (Some(7), Source::CacheControl), "{value}");
        }
    }

    #[test]
    fn rfc9213_2_1_lines_combine_and_the_last_of_a_name_counts() {
        let (found, _) = of(&[(CDN_CACHE_CONTROL, "max-age=1, private"), (CDN_CACHE_CONTROL, "max-age=99999999999")]);
        assert_eq!((found.max_age, found.private), (Some(MAX_DELTA_SECONDS), true));
        let (found, _) = of(&[(CDN_CACHE_CONTROL, "max-age=1, private=?0, no-cache=\"a\"")]);
        assert_eq!((found.private, found.no_cache), (false, true));
    }

    #[test]
    fn surrogate_control_has_its_own_form() {
        let (found, _) = of(&[(SURROGATE_CONTROL, "content=\"ESI/1.0\", max-age=60+30;edgeweir")]);
        assert_eq!((found.max_age, found.stale_while_revalidate), (Some(60), Some(30)));
        assert!(of(&[(SURROGATE_CONTROL, "no-store-remote")]).0.no_store);
        let (found, _) = of(&[(SURROGATE_CONTROL, "max-age=60, private=\"x-a\", no-cache=\"x-b\"")]);
        assert_eq!((found.private, found.no_cache, found.qualified), (true, true, false));
        let (found, source) = of(&[(SURROGATE_CONTROL, "content=\"ESI/1.0\""), (CACHE_CONTROL, "max-age=7")]);
        assert_eq!((found.max_age, source), (Some(7), Source::CacheControl));
        assert_eq!(of(&[(SURROGATE_CONTROL, "max-age = 60")]).0.max_age, Some(0));
    }
}
