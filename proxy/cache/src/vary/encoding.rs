//! `Accept-Encoding` as the set of codings it accepts (RFC 9110 §12.5.3), so that the many spellings of browsers share
//! variants. Codings the edge does not know stay in the set: an origin may answer in one of them.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// A longer header is not parsed but compared as it is.
const MAX_CODINGS: usize = 16;

/// The accepted codings, sorted, lower case, without weights; `identity` only where it is refused (`!identity`).
/// `None` when there is no such field: then any coding is acceptable, which an empty one denies.
pub(super) fn normalised(request: &HeaderMap) -> Option<Cow<'_, [u8]>> {
    let mut lines = request.get_all(ACCEPT_ENCODING).iter().peekable();
    lines.peek()?;
    let mut accepted: [&[u8]; MAX_CODINGS] = [&[]; MAX_CODINGS];
    let mut count = 0;
    let (mut identity, mut any) = (None, None);
    for item in lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')) {
        let mut parts = item.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let coding = parts.next().unwrap_or_default();
        let wanted = !parts.any(is_zero_weight);
        if coding.eq_ignore_ascii_case(b"identity") {
            identity = Some(wanted);
        } else if coding == b"*" {
            any = Some(wanted);
        }
        let plain = coding.is_empty() || coding.eq_ignore_ascii_case(b"identity");
        if plain || (coding == b"*" && !wanted) {
            continue;
        }
        // With `*` a refusal narrows the set; without, it says nothing.
        let Some(slot) = accepted.get_mut(count) else { return super::combined(request, &ACCEPT_ENCODING) };
        if wanted {
            *slot = alias(coding);
            count += 1;
        } else if any.is_some() || has_star(request) {
            return super::combined(request, &ACCEPT_ENCODING);
        }
    }
    Some(Cow::Owned(written(&mut accepted[..count], identity.or(any) == Some(false))))
}

fn written(accepted: &mut [&[u8]], identity_refused: bool) -> Vec<u8> {
    accepted.sort_unstable_by(|a, b| a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase)));
    let mut value = Vec::with_capacity(32);
    let mut last: &[u8] = &[];
    for coding in accepted.iter().filter(|coding| !coding.is_empty()) {
        if !coding.eq_ignore_ascii_case(last) {
            value.extend(coding.iter().map(u8::to_ascii_lowercase));
            value.push(b',');
        }
        last = coding;
    }
    if identity_refused {
        value.extend_from_slice(b"!identity");
    }
    value
}

fn has_star(request: &HeaderMap) -> bool {
    request.get_all(ACCEPT_ENCODING).iter().any(|line| line.as_bytes().contains(&b'*'))
}

/// `x-gzip` and `x-compress` mean the same as without `x-` (RFC 9110 §8.4.1).
fn alias(coding: &[u8]) -> &[u8] {
    match coding {
        _ if coding.eq_ignore_ascii_case(b"x-gzip") => b"gzip",
        _ if coding.eq_ignore_ascii_case(b"x-compress") => b"compress",
        _ => coding,
    }
}

/// `q=0`, also as `q=0.000`: "not acceptable" (RFC 9110 §12.4.2).
fn is_zero_weight(parameter: &[u8]) -> bool {
    let Some((name, weight)) = parameter.split_first() else { return false };
    let Some(weight) = weight.trim_ascii_start().strip_prefix(b"=").map(<[u8]>::trim_ascii) else { return false };
    name.eq_ignore_ascii_case(&b'q')
        && weight.first() == Some(&b'0')
        && weight.iter().all(|byte| matches!(byte, b'0' | b'.'))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(lines: &[&'static str]) -> Option<String> {
        let headers: HeaderMap = lines.iter().map(|line| (ACCEPT_ENCODING, HeaderValue::from_static(line))).collect();
        normalised(&headers).map(|value| String::from_utf8(value.into_owned()).unwrap())
    }

    #[test]
    fn rfc9110_12_5_3_spellings_of_one_set_are_one() {
        for same in ["gzip, br", "br;q=1.0, GZIP;q=0.1", "x-gzip,br,identity", "br,gzip,br, zstd;q=0"] {
            assert_eq!(of(&[same]).as_deref(), Some("br,gzip,"), "{same}");
        }
        assert_eq!(of(&["gzip", "br"]).as_deref(), Some("br,gzip,"));
    }

    #[test]
    fn rfc9110_12_5_3_absent_empty_and_identity() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[""]).as_deref(), Some(""));
        assert_eq!(of(&["identity;q=0.5"]).as_deref(), Some(""));
        assert_eq!(of(&["gzip, identity;q=0"]).as_deref(), Some("gzip,!identity"));
        assert_eq!(of(&["gzip, *;q=0.0"]).as_deref(), Some("gzip,!identity"));
    }

    #[test]
    fn unknown_codings_and_stars_stay_apart() {
        assert_eq!(of(&["deflate"]).as_deref(), Some("deflate,"));
        assert_eq!(of(&["*"]).as_deref(), Some("*,"));
        assert_ne!(of(&["*, br;q=0"]), of(&["*"]));
        assert_ne!(of(&["br;q=0, *"]), of(&["*"]));
    }

    #[test]
    fn a_long_list_is_compared_as_it_is() {
        let long = "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r";
        assert_eq!(of(&[long]).as_deref(), Some(long));
    }
}
