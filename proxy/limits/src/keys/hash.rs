//! SHA-256 of an API key. Must not show it: a hash of a weak key is nearly the key.

use std::fmt;

use sha2::{Digest, Sha256, compress256};
use subtle::ConstantTimeEq;

use crate::clients::Client;

/// SHA-256 of an API key. Compared in constant time; `Debug` shows the first 4 hex digits only.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; 32]);

/// Why a text is no key hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyHashError {
    /// Not 64 characters.
    #[error("a SHA-256 has 64 hexadecimal digits, not {0}")]
    Length(usize),
    /// A character that is no hexadecimal digit.
    #[error("not a hexadecimal digit at position {0}")]
    Digit(usize),
}

impl KeyHash {
    /// The hash of a key in clear.
    #[must_use]
    #[inline]
    pub fn of(key: &[u8]) -> Self {
        match one_block(key) {
            Some(block) => Self(of_block(block)),
            None => Self(Sha256::digest(key).into()),
        }
    }

    /// A hash made elsewhere.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn into_bytes(self) -> [u8; 32] {
        self.0
    }

    /// The first 8 bytes as a number: as good as random, and no viewer can choose it for a key that is known.
    #[must_use]
    pub const fn prefix(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// The client of a key that has this value first.
    #[must_use]
    pub const fn client(&self) -> Client {
        Client::of(self.prefix())
    }

    /// The hash itself, for whoever keeps keys.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A byte that tells most hashes of nearly one place apart; another one than those that place it.
    #[inline]
    pub(super) const fn tag(&self) -> u8 {
        self.0[10]
    }

    /// Which of many tables it is in. Other bytes than those that place it within the table.
    pub(super) const fn shard(&self) -> usize {
        (self.0[8] as usize) << 8 | self.0[9] as usize
    }

    /// Reads 64 hexadecimal digits, of either case, as `sha256sum` writes them.
    ///
    /// # Errors
    /// [`KeyHashError`] with the length in bytes or the position, from 0, of the first wrong byte.
    pub fn from_hex(text: &str) -> Result<Self, KeyHashError> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(KeyHashError::Length(digits.len()));
        }
        let mut bytes = [0; 32];
        for (at, digit) in digits.iter().enumerate() {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                b'A'..=b'F' => digit - b'A' + 10,
                _ => return Err(KeyHashError::Digit(at)),
            };
            bytes[at / 2] = bytes[at / 2] << 4 | value;
        }
        Ok(Self(bytes))
    }
}

/// Initial hash value (FIPS 180-4, section 5.3.3).
const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// What is hashed of a text that fits one block: itself, a one, zeros and its length in bits (FIPS 180-4, section 5.1.1). So
/// a key of usual length goes round the buffer that the library has for texts that come in parts.
#[inline]
fn one_block(text: &[u8]) -> Option<[u8; 64]> {
    let mut block = [0; 64];
    let (head, length) = block.split_last_chunk_mut::<8>()?;
    let (of_text, rest) = head.split_at_mut_checked(text.len())?;
    *rest.first_mut()? = 0x80;
    of_text.copy_from_slice(text);
    *length = (text.len() as u64 * 8).to_be_bytes();
    Some(block)
}

fn of_block(block: [u8; 64]) -> [u8; 32] {
    let mut state = START;
    compress256(&mut state, &[block.into()]);
    let mut hash = [0; 32];
    for (bytes, word) in hash.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    hash
}

impl PartialEq for KeyHash {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        // By words: the library takes slices byte by byte, each behind a barrier.
        let (mine, _) = self.0.as_chunks::<8>();
        let (others, _) = other.0.as_chunks::<8>();
        let word = |bytes: &[u8; 8]| u64::from_ne_bytes(*bytes);
        let differs = mine.iter().zip(others).fold(0, |all, (mine, other)| all | (word(mine) ^ word(other)));
        differs.ct_eq(&0).into()
    }
}

impl Eq for KeyHash {}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn hex_and_clear_agree() {
        let hash = KeyHash::of(b"abc");
        assert_eq!(KeyHash::from_hex(ABC), Ok(hash));
        assert_eq!(KeyHash::from_hex(&ABC.to_uppercase()), Ok(hash));
        assert_ne!(KeyHash::of(b"abd"), hash);
        let mut last_bit = hash.0;
        last_bit[31] ^= 1;
        assert_ne!(KeyHash::from_bytes(last_bit), hash);
    }

    #[test]
    fn one_block_and_many_are_hashed_alike() {
        let text: Vec<u8> = (0..=255).collect();
        for length in 0..text.len() {
            let wanted: [u8; 32] = Sha256::digest(&text[..length]).into();
            assert_eq!(KeyHash::of(&text[..length]).into_bytes(), wanted, "{length} bytes");
        }
        // The longest text of one block, and the shortest of two.
        assert!(one_block(&text[..55]).is_some() && one_block(&text[..56]).is_none());
    }

    #[test]
    fn wrong_hex_is_told() {
        assert_eq!(KeyHash::from_hex("ba78"), Err(KeyHashError::Length(4)));
        let wrong = ABC.replacen("bf8f", "bg8f", 1);
        assert_eq!(KeyHash::from_hex(&wrong), Err(KeyHashError::Digit(7)));
        assert_eq!(KeyHash::from_hex(&"é".repeat(32)), Err(KeyHashError::Digit(0)));
    }

    #[test]
    fn debug_is_redacted() {
        assert_eq!(format!("{:?}", KeyHash::of(b"abc")), "KeyHash(ba78..)");
    }
}
