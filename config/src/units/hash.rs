//! SHA-256 digests in hexadecimal.

use thiserror::Error;

/// The text is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a SHA-256 has 64 hexadecimal digits")]
pub struct HashError;

impl HashError {
    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        Some("`printf %s \"$KEY\" | sha256sum` prints it".to_owned())
    }
}

/// Reads a digest; upper and lower case digits are the same.
///
/// # Errors
/// If it is anything but 64 hexadecimal digits.
pub fn parse_sha256(text: &str) -> Result<[u8; 32], HashError> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()
        .filter(|digits: &Vec<u8>| digits.len() == 64)
        .ok_or(HashError)?;
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().fold(0, |byte, digit| byte << 4 | digit);
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_in_either_case() {
        let hash = parse_sha256(&format!("fF01{}", "00".repeat(30))).unwrap();
        assert_eq!(hash.split_at(3).0, [0xff, 0x01, 0]);
        assert_eq!(parse_sha256("ff"), Err(HashError));
        assert_eq!(parse_sha256(&"g".repeat(64)), Err(HashError));
        assert_eq!(parse_sha256(&"é".repeat(32)), Err(HashError));
    }
}
