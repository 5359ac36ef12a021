//! Which coding a viewer wants (RFC 9110, 12.5.3).

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use super::Coding;

/// The coding of `offered` that the request likes best, and of several the first; none if it would rather have, or did not
/// ask for anything but, the plain form. Without `Accept-Encoding` that is the plain form.
#[must_use]
pub fn accepted(request: &HeaderMap, offered: &[Coding]) -> Option<Coding> {
    let mut weights = [None; Coding::COUNT];
    let (mut identity, mut star) = (None, None);
    for item in request.get_all(ACCEPT_ENCODING).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b',')) {
        let mut parts = item.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(weight).unwrap_or(1_000);
        let slot = match name {
            b"*" => &mut star,
            _ if name.eq_ignore_ascii_case(b"identity") => &mut identity,
            _ if name.eq_ignore_ascii_case(b"br") => &mut weights[Coding::Brotli as usize],
            _ if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") => {
                &mut weights[Coding::Gzip as usize]
            }
            _ if name.eq_ignore_ascii_case(b"zstd") => &mut weights[Coding::Zstd as usize],
            _ => continue,
        };
        *slot = Some(weight);
    }
    // The plain form is acceptable if nobody says otherwise, and preferred only to what weighs less than it says.
    let plain = identity.unwrap_or(0);
    let mut best = None;
    for coding in offered {
        let weight: u16 = weights[*coding as usize].or(star).unwrap_or(0);
        if weight > 0 && weight >= plain && best.is_none_or(|(_, heaviest)| weight > heaviest) {
            best = Some((*coding, weight));
        }
    }
    best.map(|(coding, _)| coding)
}

/// `q=0.5` in thousandths (RFC 9110, 12.4.2). What is no weight counts as none.
fn weight(parameter: &[u8]) -> Option<u16> {
    let (name, value) = parameter.split_first()?;
    let value = value.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
    if !name.eq_ignore_ascii_case(&b'q') {
        return None;
    }
    let (whole, rest) = value.split_first()?;
    let mut thousandths = u16::from(whole.is_ascii_digit().then(|| whole - b'0')?) * 1_000;
    let digits = rest.strip_prefix(b".").unwrap_or_default();
    for (digit, place) in digits.iter().zip([100, 10, 1]) {
        thousandths += u16::from(digit.is_ascii_digit().then(|| digit - b'0')?) * place;
    }
    Some(thousandths.min(1_000))
}
