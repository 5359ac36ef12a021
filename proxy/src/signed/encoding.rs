//! CloudFront's base64 for URLs and cookies: not RFC 4648's. `+` is `-`, `=` is `_`, `/` is `~`.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};

/// Signers may leave the padding away.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Writes bytes.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let text = general_purpose::STANDARD.encode(bytes);
    text.chars()
        .map(|char| match char {
            '+' => '-',
            '=' => '_',
            '/' => '~',
            other => other,
        })
        .collect()
}

/// Reads bytes; none if the text is not in this form.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let plain: Option<Vec<u8>> = text
        .bytes()
        .map(|byte| match byte {
            b'-' => Some(b'+'),
            b'_' => Some(b'='),
            b'~' => Some(b'/'),
            other if other.is_ascii_alphanumeric() => Some(other),
            _ => None,
        })
        .collect();
    LENIENT.decode(plain?).ok()
}
