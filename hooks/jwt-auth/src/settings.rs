//! The binding's settings, as the config has them, and what they come to. A key belongs to one algorithm: what a token
//! says about its algorithm is compared with the key's, never followed.

use std::collections::BTreeMap;

use edgeweir_sdk::http::HeaderName;
use edgeweir_sdk::validate::Problem;
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

/// Most keys of a binding: each may have to be tried.
const MAX_KEYS: usize = 16;

/// Most clock difference that can be allowed, in seconds.
const MAX_LEEWAY: u32 = 300;

/// The binding's settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    algorithm: Option<Algorithm>,
    secret: Option<String>,
    public_key: Option<String>,
    #[serde(default)]
    keys: Vec<KeySettings>,
    jwks: Option<String>,
    issuer: Option<String>,
    #[serde(default)]
    audience: Audience,
    #[serde(default = "default_leeway")]
    leeway: u32,
    #[serde(default = "default_require_exp")]
    require_exp: bool,
    cookie: Option<String>,
    query: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    claims: BTreeMap<String, String>,
    #[serde(default)]
    strip_authorization: bool,
    #[serde(default)]
    share_cache: bool,
    #[serde(default = "default_realm")]
    realm: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeySettings {
    kid: Option<String>,
    algorithm: Algorithm,
    secret: Option<String>,
    public_key: Option<String>,
}

/// Signature algorithms (RFC 7518, 3.1; RFC 8037, 3.1). `none` is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// One audience or several; none if it is not checked.
#[derive(Debug, Default)]
struct Audience(Vec<String>);

/// The settings, checked.
#[derive(Debug)]
pub(crate) struct Policy<'a> {
    /// At least one, unless there is a set.
    pub(crate) keys: Vec<Key<'a>>,
    /// The edge's key set that is asked after them.
    pub(crate) jwks: Option<&'a str>,
    /// What `iss` must be.
    pub(crate) issuer: Option<&'a str>,
    /// What `aud` must have one of; not checked if empty.
    pub(crate) audience: &'a [String],
    /// Scopes that the token must have one of; not checked if empty.
    pub(crate) scopes: &'a [String],
    /// Allowed clock difference in seconds.
    pub(crate) leeway: u32,
    /// Whether a token without `exp` is refused.
    pub(crate) require_exp: bool,
    /// Where else a token may be.
    pub(crate) cookie: Option<&'a str>,
    /// Where else a token may be.
    pub(crate) query: Option<&'a str>,
    /// Claims and the headers they go to.
    pub(crate) claims: Vec<(&'a str, &'a str)>,
    /// Whether the origin does not get the token.
    pub(crate) strip_authorization: bool,
    /// Whether viewers with different claims share cached responses.
    pub(crate) share_cache: bool,
    /// For `WWW-Authenticate`.
    pub(crate) realm: &'a str,
}

/// A key and the one algorithm it is for.
#[derive(Debug)]
pub(crate) struct Key<'a> {
    pub(crate) kid: Option<&'a str>,
    pub(crate) algorithm: Algorithm,
    /// The secret's bytes or the PEM text.
    pub(crate) material: &'a [u8],
}

impl Settings {
    /// What the settings come to.
    ///
    /// # Errors
    /// The message names what is wrong. No secret is in it.
    pub(crate) fn policy(&self) -> Result<Policy<'_>, Problem> {
        if self.leeway > MAX_LEEWAY {
            return Err(Problem::new(format!("{} seconds, at most {MAX_LEEWAY}", self.leeway)).at("/leeway"));
        }
        if self.realm.chars().any(|c| c.is_control() || !c.is_ascii() || c == '"' || c == '\\') {
            let message = "has a quote, a backslash or a character that is not printable ASCII";
            return Err(Problem::new(message).at("/realm"));
        }
        let mut claims: Vec<(&str, &str)> = Vec::with_capacity(self.claims.len());
        for (claim, header) in &self.claims {
            let problem = |message: String| {
                let claim = claim.replace('~', "~0").replace('/', "~1");
                Err(Problem::new(message).at(format_args!("/claims/{claim}")))
            };
            if HeaderName::from_bytes(header.as_bytes()).is_err() {
                return problem(format!("`{header}` is no header name"));
            }
            if claims.iter().any(|(_, other)| other.eq_ignore_ascii_case(header)) {
                return problem(format!("another claim goes to `{header}` already"));
            }
            claims.push((claim, header));
        }
        for (index, scope) in self.scopes.iter().enumerate() {
            // RFC 6749, 3.3.
            let is_scope = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
            if scope.is_empty() || !scope.bytes().all(is_scope) {
                return Err(Problem::new("is no scope").at(format_args!("/scopes/{index}")));
            }
        }
        Ok(Policy {
            keys: self.keys()?,
            jwks: self.jwks.as_deref(),
            issuer: self.issuer.as_deref(),
            audience: &self.audience.0,
            scopes: &self.scopes,
            leeway: self.leeway,
            require_exp: self.require_exp,
            cookie: self.cookie.as_deref(),
            query: self.query.as_deref(),
            claims,
            strip_authorization: self.strip_authorization,
            share_cache: self.share_cache,
            realm: &self.realm,
        })
    }

    fn keys(&self) -> Result<Vec<Key<'_>>, Problem> {
        let mut keys = Vec::with_capacity(self.keys.len() + 1);
        match self.algorithm {
            Some(algorithm) => keys.push(key(None, algorithm, self.secret.as_deref(), self.public_key.as_deref())?),
            None if self.secret.is_some() || self.public_key.is_some() => {
                return Err(Problem::new("`algorithm` is missing: a key is for one algorithm"));
            }
            None => {}
        }
        for (index, settings) in self.keys.iter().enumerate() {
            let KeySettings { kid, algorithm, secret, public_key } = settings;
            let key = key(kid.as_deref(), *algorithm, secret.as_deref(), public_key.as_deref());
            keys.push(key.map_err(|problem| problem.at(format_args!("/keys/{index}")))?);
        }
        match keys.len() {
            0 if self.jwks.is_none() => {
                Err(Problem::new("no key: give `jwks`, or `algorithm` with `secret` or `public_key`, or `keys`"))
            }
            0..=MAX_KEYS => Ok(keys),
            count => Err(Problem::new(format!("{count} keys, at most {MAX_KEYS}"))),
        }
    }
}

fn key<'a>(
    kid: Option<&'a str>,
    algorithm: Algorithm,
    secret: Option<&'a str>,
    public_key: Option<&'a str>,
) -> Result<Key<'a>, Problem> {
    let name = algorithm.name();
    let material = match (algorithm.secret_length(), secret, public_key) {
        (Some(least), Some(secret), None) if secret.len() < least => {
            let message = format!("the secret for {name} needs at least {least} bytes (RFC 7518, 3.2)");
            return Err(Problem::new(message).at("/secret"));
        }
        (Some(_), Some(secret), None) => secret,
        (Some(_), ..) => return Err(Problem::new(format!("{name} needs `secret`, and no `public_key`"))),
        (None, None, Some(pem)) => pem,
        (None, ..) => return Err(Problem::new(format!("{name} needs `public_key`, and no `secret`"))),
    };
    Ok(Key { kid, algorithm, material: material.as_bytes() })
}

impl Algorithm {
    /// The name in a token's header.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Least bytes of the secret (RFC 7518, 3.2); `None` if the algorithm has a public key.
    const fn secret_length(self) -> Option<usize> {
        match self {
            Self::Hs256 => Some(32),
            Self::Hs384 => Some(48),
            Self::Hs512 => Some(64),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Audience;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an audience or a list of audiences")
            }

            fn visit_str<E: de::Error>(self, one: &str) -> Result<Audience, E> {
                Ok(Audience(vec![one.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Audience, A::Error> {
                let mut audiences = Vec::new();
                while let Some(audience) = list.next_element()? {
                    audiences.push(audience);
                }
                match audiences.is_empty() {
                    // An empty list must not read as `anybody`.
                    true => Err(de::Error::invalid_length(0, &"at least one audience")),
                    false => Ok(Audience(audiences)),
                }
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}

const fn default_leeway() -> u32 {
    30
}

const fn default_require_exp() -> bool {
    true
}

fn default_realm() -> String {
    "edgeweir".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn problem(json: &str) -> String {
        match serde_json::from_str::<Settings>(json) {
            Ok(settings) => settings.policy().expect_err(json).to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_shortest_settings_are_strict() {
        let settings: Settings =
            serde_json::from_str(&format!(r#"{{"algorithm":"HS256","secret":"{SECRET}"}}"#)).expect("valid");
        let policy = settings.policy().expect("good settings");
        assert!(policy.require_exp);
        assert!(!policy.share_cache);
        assert_eq!(policy.leeway, 30);
        assert_eq!(policy.keys.len(), 1);
        assert_eq!(policy.keys[0].material, SECRET.as_bytes());
    }

    #[test]
    fn a_key_set_is_enough() {
        let settings: Settings = serde_json::from_str(r#"{"jwks":"login"}"#).expect("valid");
        let policy = settings.policy().expect("good settings");
        assert!(policy.keys.is_empty());
        assert_eq!(policy.jwks, Some("login"));
    }

    #[test]
    fn an_audience_is_one_or_more() {
        let audience = |json: &str| serde_json::from_str::<Audience>(json).map(|audience| audience.0);
        assert_eq!(audience(r#""a""#).expect("one"), ["a"]);
        assert_eq!(audience(r#"["a","b"]"#).expect("two"), ["a", "b"]);
        assert!(audience("[]").is_err());
    }

    #[test]
    fn wrong_settings_are_named() {
        let starts = [
            ("{}", "settings: no key: give `jwks`, or `algorithm`"),
            (r#"{"jwks":"login","scopes":["a b"]}"#, "settings: scopes[0]: is no scope"),
            (r#"{"jwks":"login","secret":"x"}"#, "settings: `algorithm` is missing"),
            (r#"{"secret":"x"}"#, "settings: `algorithm` is missing"),
            (r#"{"algorithm":"none"}"#, "unknown variant `none`, expected one of `HS256`"),
            (
                r#"{"algorithm":"HS256","secret":"short"}"#,
                "settings: secret: the secret for HS256 needs at least 32 bytes",
            ),
            (r#"{"algorithm":"HS256","public_key":"x"}"#, "settings: HS256 needs `secret`"),
            (r#"{"algorithm":"RS256","secret":"x"}"#, "settings: RS256 needs `public_key`"),
            (r#"{"keys":[{"algorithm":"ES256"}]}"#, "settings: keys[0]: ES256 needs `public_key`"),
            (r#"{"algorithm":"ES256","public_key":"x","leeway":301}"#, "settings: leeway: 301 seconds, at most 300"),
            (r#"{"algorithm":"ES256","public_key":"x","claims":{"sub":"x y"}}"#, "settings: claims.sub: `x y` is no"),
            (
                r#"{"algorithm":"ES256","public_key":"x","claims":{"a":"x-a","b":"X-A"}}"#,
                "settings: claims.b: another claim goes to `X-A` already",
            ),
            (r#"{"algorithm":"ES256","public_key":"x","realm":"a\"b"}"#, "settings: realm: has a quote"),
            (r#"{"algo":"ES256"}"#, "unknown field `algo`"),
        ];
        for (json, start) in starts {
            let problem = problem(json);
            assert!(problem.starts_with(start), "{json}: {problem}");
        }
    }
}
