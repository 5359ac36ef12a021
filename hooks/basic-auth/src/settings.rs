//! The binding's settings, and who passes by them. The edge's hash and comparison are passed in.

use std::collections::BTreeMap;

use edgeweir_sdk::http::HeaderName;
use edgeweir_sdk::validate::Problem;
use edgeweir_sdk::{Error, Result};
use serde::Deserialize;

use crate::credentials::Credentials;

/// Most users of a binding: it is a list in a config, not a directory.
const MAX_USERS: usize = 500;

/// Longest name in bytes: it goes into the cache key.
const MAX_NAME: usize = 200;

/// Bytes of a SHA-256 hash.
const HASH: usize = 32;

/// The binding's settings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// `SALT:HASH` by name.
    users: BTreeMap<String, String>,
    /// For the challenge.
    #[serde(default = "default_realm")]
    pub(crate) realm: String,
    /// Whether the origin does not get name and password.
    #[serde(default = "default_strip")]
    pub(crate) strip_authorization: bool,
    /// The header that tells the origin who it is.
    pub(crate) user_header: Option<String>,
}

/// A salt and the hash of salt and password.
struct Secret<'a> {
    salt: &'a str,
    hash: [u8; HASH],
}

impl Settings {
    /// Reads and checks settings.
    ///
    /// # Errors
    /// The message names what is wrong. No hash is in it.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let settings: Self = serde_json::from_str(text).map_err(|error| Error::from(error).context("settings"))?;
        settings.check()?;
        Ok(settings)
    }

    /// Checks what the types do not say.
    ///
    /// # Errors
    /// What is wrong, and where. No hash is in it.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        match self.users.len() {
            0 => return Err(Problem::new("no user: it needs at least one").at("/users")),
            1..=MAX_USERS => {}
            count => return Err(Problem::new(format!("{count} users, at most {MAX_USERS}")).at("/users")),
        }
        for (name, secret) in &self.users {
            let of_user = |message: String| {
                let token = name.replace('~', "~0").replace('/', "~1");
                Problem::new(message).at(format_args!("/users/{token}"))
            };
            let odd = name.trim() != name || name.contains(':') || name.chars().any(char::is_control);
            if odd || !(1..=MAX_NAME).contains(&name.len()) {
                // RFC 7617, 2: a colon ends the name.
                return Err(of_user(format!(
                    "`{name}` is no name: 1 to {MAX_NAME} bytes without colon, control character or space at an end"
                )));
            }
            if Secret::parse(secret).is_none() {
                let message = "write `SALT:HASH`, a salt of 8 to 64 letters, digits, `-` or `_` and the SHA-256 of salt \
                               and password in 64 hex digits";
                return Err(of_user(message.to_owned()));
            }
        }
        if self.realm.chars().any(|c| c.is_control() || !c.is_ascii() || c == '"' || c == '\\') {
            let message = "has a quote, a backslash or a character that is not printable ASCII";
            return Err(Problem::new(message).at("/realm"));
        }
        match &self.user_header {
            Some(name) if HeaderName::from_bytes(name.as_bytes()).is_err() => {
                Err(Problem::new(format!("`{name}` is no header name")).at("/user_header"))
            }
            Some(name) if name.eq_ignore_ascii_case("authorization") => {
                Err(Problem::new("`authorization` carries the credentials themselves").at("/user_header"))
            }
            _ => Ok(()),
        }
    }

    /// The user's name, if the password is right. An unknown name costs the same work as a known one.
    pub(crate) fn admit(
        &self,
        credentials: &Credentials,
        hash: impl Fn(&[u8]) -> Vec<u8>,
        equal: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Option<&str> {
        let known = self.users.get_key_value(&credentials.name);
        let secret = known.and_then(|(_, secret)| Secret::parse(secret));
        let (salt, wanted) = secret.map_or(("nobody--", [0; HASH]), |secret| (secret.salt, secret.hash));
        let mut data = salt.as_bytes().to_vec();
        data.extend_from_slice(&credentials.password);
        let same = equal(&hash(&data), &wanted);
        known.filter(|_| same).map(|(name, _)| name.as_str())
    }
}

impl<'a> Secret<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (salt, hex) = text.split_once(':')?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !(8..=64).contains(&salt.len()) || !salt.bytes().all(plain) || hex.len() != 2 * HASH {
            return None;
        }
        let mut hash = [0; HASH];
        for (byte, pair) in hash.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let &[high, low] = pair else { return None };
            *byte = digit(high)? << 4 | digit(low)?;
        }
        Some(Self { salt, hash })
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn default_realm() -> String {
    "edgeweir".to_owned()
}

const fn default_strip() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    // SHA-256 of `a-salt-1sesame`.
    fn alice() -> String {
        let hash = sha256(b"a-salt-1sesame").iter().fold(String::new(), |text, byte| format!("{text}{byte:02X}"));
        format!(r#"{{"users":{{"alice":"a-salt-1:{hash}"}}}}"#)
    }

    fn sha256(data: &[u8]) -> Vec<u8> {
        ring::digest::digest(&ring::digest::SHA256, data).as_ref().to_vec()
    }

    fn admit<'a>(settings: &'a Settings, name: &str, password: &str) -> Option<&'a str> {
        let credentials = Credentials { name: name.to_owned(), password: password.as_bytes().to_vec() };
        settings.admit(&credentials, sha256, |a, b| a == b)
    }

    #[test]
    fn only_the_right_password_passes() {
        let settings = Settings::parse(&alice()).unwrap_or_else(|error| panic!("{error}"));
        assert!(settings.strip_authorization);
        assert_eq!(admit(&settings, "alice", "sesame"), Some("alice"));
        for (name, password) in [("alice", "Sesame"), ("alice", ""), ("Alice", "sesame"), ("", ""), ("bob", "sesame")] {
            assert_eq!(admit(&settings, name, password), None, "{name}:{password}");
        }
    }

    #[test]
    fn wrong_settings_are_named() {
        let hash = "0".repeat(64);
        let user = |name: &str, secret: &str| format!(r#"{{"users":{{"{name}":"{secret}"}}}}"#);
        let with = |rest: &str| format!(r#"{{"users":{{"a":"salt-123:{hash}"}},{rest}}}"#);
        let starts = [
            ("{}".to_owned(), "settings: missing field `users`"),
            (r#"{"users":{}}"#.to_owned(), "settings: users: no user"),
            (user("a:b", &format!("salt-123:{hash}")), "settings: users.a:b: `a:b` is no name"),
            (user("a", "sesame"), "settings: users.a: write `SALT:HASH`"),
            (user("a", &hash), "settings: users.a: write `SALT:HASH`"),
            (user("a", &format!("salt:{hash}")), "settings: users.a: write `SALT:HASH`"),
            (user("a", "salt-123:00"), "settings: users.a: write `SALT:HASH`"),
            (user("a", &format!("salt-123:+{}", "0".repeat(63))), "settings: users.a: write `SALT:HASH`"),
            (with(r#""realm":"a\"b""#), "settings: realm: has a quote"),
            (with(r#""user_header":"x y""#), "settings: user_header: `x y` is no header name"),
            (with(r#""user_header":"Authorization""#), "settings: user_header: `authorization` carries"),
            (with(r#""header":"x""#), "settings: unknown field `header`"),
        ];
        for (json, start) in starts {
            let error = Settings::parse(&json).err().unwrap_or_else(|| panic!("{json} is taken"));
            assert!(error.message().starts_with(start), "{json}: {error}");
        }
    }
}
