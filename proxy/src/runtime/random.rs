//! Randomness that nobody can guess: values and ids of API keys.

use ring::rand::{SecureRandom as _, SystemRandom};

const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const SMALL: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// So many letters and digits; each adds 5.9 bits.
#[must_use]
pub fn letters(count: usize) -> String {
    text(LETTERS, count)
}

/// So many small letters and digits.
#[must_use]
pub fn id(count: usize) -> String {
    text(SMALL, count)
}

fn text(alphabet: &[u8], count: usize) -> String {
    let random = SystemRandom::new();
    // Bytes above the largest multiple of the alphabet would favour its first letters.
    let most = 256 - 256 % alphabet.len();
    let mut text = String::with_capacity(count);
    while text.len() < count {
        let mut bytes = [0_u8; 64];
        // The kernel's generator fails only before it is seeded, at boot. A key that can be guessed would be worse.
        assert!(random.fill(&mut bytes).is_ok(), "the system has no randomness");
        let usable = bytes.into_iter().map(usize::from).filter(|byte| *byte < most);
        let letters = usable.filter_map(|byte| alphabet.get(byte % alphabet.len()).copied());
        text.extend(letters.take(count - text.len()).map(char::from));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_their_length_and_alphabet_and_differ() {
        assert!(letters(40).len() == 40 && letters(40).bytes().all(|byte| LETTERS.contains(&byte)));
        assert!(id(10).len() == 10 && id(10).bytes().all(|byte| SMALL.contains(&byte)));
        assert_ne!(letters(40), letters(40));
        let long = letters(20_000);
        assert!(LETTERS.iter().all(|letter| long.bytes().filter(|byte| byte == letter).count() > 200));
    }
}
