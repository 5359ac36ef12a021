//! Small mutations of text and bytes.

use fastrand::Rng;

/// Characters that break something somewhere.
const SHARP: [char; 24] = [
    '\0', '\r', '\n', '\t', ' ', '%', '?', '#', '/', '\\', ':', ';', ',', '"', '[', ']', '\u{7f}', 'é', '\u{202e}',
    '_', 'X', '.', '@', '=',
];

/// One of these, mutated now and then.
pub(super) fn text(rng: &mut Rng, dictionary: &[&str]) -> String {
    let mut text = (*rng.choice(dictionary).unwrap_or(&"")).to_owned();
    while rng.u8(..4) == 0 {
        let mut chars: Vec<char> = text.chars().collect();
        let at = rng.usize(..=chars.len());
        match rng.u8(..6) {
            0 if at < chars.len() => drop(chars.remove(at)),
            1 if at < chars.len() => chars[at] = *rng.choice(&SHARP).unwrap_or(&' '),
            2 => chars.insert(at, *rng.choice(&SHARP).unwrap_or(&' ')),
            3 => {
                let part: Vec<char> = chars[..at].to_vec();
                chars.extend(part);
            }
            4 if rng.u8(..40) == 0 => chars.extend(std::iter::repeat_n('x', 1 << rng.u8(6..17))),
            _ => chars.iter_mut().for_each(|c| *c = c.to_ascii_uppercase()),
        }
        text = chars.into_iter().take(1 << 17).collect();
    }
    text
}

/// Bytes that mostly are text.
pub(super) fn bytes(rng: &mut Rng, dictionary: &[&str]) -> Vec<u8> {
    let mut bytes = text(rng, dictionary).into_bytes();
    if rng.u8(..4) == 0 && !bytes.is_empty() {
        let at = rng.usize(..bytes.len());
        bytes[at] = rng.u8(..);
    }
    bytes
}
