//! Which coding a viewer wants (RFC 9110, 12.5.3).

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use super::Coding;

/// What a request says of codings, in thousandths.
#[derive(Default)]
struct Weights {
    codings: [Option<u16>; Coding::COUNT],
    identity: Option<u16>,
    star: Option<u16>,
}

impl Weights {
    fn of(request: &HeaderMap) -> Self {
        let mut weights = Self::default();
        for item in request.get_all(ACCEPT_ENCODING).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        {
            let mut parts = item.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let name = parts.next().unwrap_or_default();
            let weight = parts.find_map(weight).unwrap_or(1_000);
            let slot = match name {
                b"*" => &mut weights.star,
                _ if name.eq_ignore_ascii_case(b"identity") => &mut weights.identity,
                _ if name.eq_ignore_ascii_case(b"br") => &mut weights.codings[Coding::Brotli as usize],
                _ if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") => {
                    &mut weights.codings[Coding::Gzip as usize]
                }
                _ if name.eq_ignore_ascii_case(b"zstd") => &mut weights.codings[Coding::Zstd as usize],
                _ => continue,
            };
            *slot = Some(weight);
        }
        weights
    }

    fn coding(&self, coding: Coding) -> u16 {
        self.codings[coding as usize].or(self.star).unwrap_or(0)
    }
}

/// The coding of `offered` that the request likes best, and of several the first; none if it would rather have, or did not
/// ask for anything but, the plain form. Without `Accept-Encoding` that is the plain form.
#[must_use]
pub fn accepted(request: &HeaderMap, offered: &[Coding]) -> Option<Coding> {
    let weights = Weights::of(request);
    // The plain form is acceptable if nobody says otherwise, and preferred only to what weighs less than it says.
    let plain = weights.identity.unwrap_or(0);
    let mut best = None;
    for coding in offered {
        let weight = weights.coding(*coding);
        if weight > 0 && weight >= plain && best.is_none_or(|(_, heaviest)| weight > heaviest) {
            best = Some((*coding, weight));
        }
    }
    best.map(|(coding, _)| coding)
}

/// `Accept-Encoding` in one spelling: those of `offered` that the request accepts at all, without weights, in an order of
/// their own; none if it accepts none of them (CloudFront: "Compression support").
#[must_use]
pub fn normalised(request: &HeaderMap, offered: &[Coding]) -> Option<&'static str> {
    let weights = Weights::of(request);
    let takes = |coding: Coding| offered.contains(&coding) && weights.coding(coding) > 0;
    match (takes(Coding::Brotli), takes(Coding::Gzip), takes(Coding::Zstd)) {
        (false, false, false) => None,
        (false, false, true) => Some("zstd"),
        (false, true, false) => Some("gzip"),
        (false, true, true) => Some("gzip,zstd"),
        (true, false, false) => Some("br"),
        (true, false, true) => Some("br,zstd"),
        (true, true, false) => Some("br,gzip"),
        (true, true, true) => Some("br,gzip,zstd"),
    }
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
