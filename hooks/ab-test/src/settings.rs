//! The binding's settings, which variant a viewer gets by them, and its cookie. Plain values in and out.

use edgeweir_sdk::http::HeaderName;
use edgeweir_sdk::validate::Problem;
use edgeweir_sdk::{Error, Result};
use serde::Deserialize;

/// Most variants of a test.
const MAX_VARIANTS: usize = 32;

/// Longest name of a variant or a cookie, in bytes: both go into the cache key.
const MAX_NAME: usize = 64;

/// Longest life of a cookie: 400 days, where browsers cut it (RFC 6265bis, 5.5).
const MAX_AGE: u32 = 400 * 86_400;

/// The binding's settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Name of the cookie, and of the test.
    #[serde(default)]
    pub(crate) cookie: String,
    #[serde(default)]
    variants: Vec<Variant>,
    /// The header that tells the origin.
    #[serde(default = "default_header")]
    pub(crate) header: String,
    /// In seconds.
    #[serde(default = "default_max_age")]
    max_age: u32,
    #[serde(default = "default_path")]
    path: String,
    #[serde(default)]
    same_site: SameSite,
    /// As the request came, if unset.
    secure: Option<bool>,
}

/// One of the things that viewers may get.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variant {
    /// In the cookie, the header and the cache key.
    pub(crate) name: String,
    /// Its share of all weights; 0 draws no new viewers.
    weight: u32,
    /// Name of the origin to fetch from.
    pub(crate) origin: Option<String>,
    /// Put before the path, unless the path already starts with it.
    pub(crate) path_prefix: Option<String>,
}

/// When a browser sends the cookie along (RFC 6265bis, 4.1.2.7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SameSite {
    Strict,
    #[default]
    Lax,
    None,
}

impl Settings {
    /// Reads and checks settings.
    ///
    /// # Errors
    /// The message names what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let settings: Self = serde_json::from_str(text).map_err(|error| Error::from(error).context("settings"))?;
        settings.check()?;
        Ok(settings)
    }

    /// Neither cookie nor variants: what a binding at viewer-response has.
    pub(crate) fn is_empty(&self) -> bool {
        self.cookie.is_empty() && self.variants.is_empty()
    }

    /// Checks what the types do not say.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let at = |pointer: &str, message: String| Err(Problem::new(message).at(pointer));
        if self.cookie.is_empty() {
            return Err(Problem::new("missing field `cookie`"));
        }
        if !is_name(&self.cookie) {
            return at("/cookie", format!("`{}` is no name: {NAME}", self.cookie));
        }
        if !(1..=MAX_VARIANTS).contains(&self.variants.len()) {
            return at("/variants", format!("{} variants: give 1 to {MAX_VARIANTS}", self.variants.len()));
        }
        for (at, variant) in self.variants.iter().enumerate() {
            let named = |message: String| Problem::new(message).at(format_args!("/variants/{at}"));
            if !is_name(&variant.name) {
                return Err(named(format!("`{}` is no name: {NAME}", variant.name)));
            }
            if self.variants.iter().take(at).any(|earlier| earlier.name == variant.name) {
                return Err(named(format!("there is a variant `{}` already", variant.name)));
            }
            if let Some(prefix) = variant.path_prefix.as_deref().filter(|p| !p.starts_with('/') || p.ends_with('/')) {
                return Err(named(format!("path_prefix `{prefix}` must start with `/` and not end with one")));
            }
        }
        if self.total() == 0 {
            return at("/variants", "all weights are 0: nobody could get a variant".to_owned());
        }
        if HeaderName::from_bytes(self.header.as_bytes()).is_err() {
            return at("/header", format!("`{}` is no header name", self.header));
        }
        if self.max_age > MAX_AGE {
            return at("/max_age", format!("{} seconds, at most {MAX_AGE} (400 days)", self.max_age));
        }
        let plain = |byte: u8| (0x21..0x7f).contains(&byte) && !matches!(byte, b';' | b',');
        if !self.path.starts_with('/') || !self.path.bytes().all(plain) {
            return at("/path", format!("`{}` is no path for a cookie: it starts with `/`", self.path));
        }
        if self.same_site == SameSite::None && self.secure != Some(true) {
            let message = "`none` needs `secure = true`: browsers drop the cookie otherwise";
            return at("/same_site", message.to_owned());
        }
        Ok(())
    }

    fn total(&self) -> u64 {
        self.variants.iter().map(|variant| u64::from(variant.weight)).sum()
    }

    /// The variant of this name, whatever its weight: who has it keeps it.
    pub(crate) fn variant(&self, name: &str) -> Option<&Variant> {
        self.variants.iter().find(|variant| variant.name == name)
    }

    /// A variant by the weights. `random` is over the whole range; the bias of the remainder is below one in 2^26.
    ///
    /// # Errors
    /// If no weight is over 0; settings are checked for that.
    pub(crate) fn draw(&self, random: u64) -> Result<&Variant> {
        let mut left = random.checked_rem(self.total()).unwrap_or_default();
        for variant in &self.variants {
            match left.checked_sub(u64::from(variant.weight)) {
                Some(rest) => left = rest,
                None => return Ok(variant),
            }
        }
        Err(Error::new("settings: no variant can be drawn"))
    }

    /// The value of `Set-Cookie` for a drawn variant.
    pub(crate) fn set_cookie(&self, variant: &Variant, https: bool) -> String {
        let same_site = match self.same_site {
            SameSite::Strict => "Strict",
            SameSite::Lax => "Lax",
            SameSite::None => "None",
        };
        let secure = if self.secure.unwrap_or(https) { "; Secure" } else { "" };
        let Self { cookie, max_age, path, .. } = self;
        format!("{cookie}={}; Max-Age={max_age}; Path={path}; SameSite={same_site}{secure}", variant.name)
    }
}

/// The path with the prefix before it; none if it has it already.
pub(crate) fn prefixed(prefix: &str, path: &str) -> Option<String> {
    match path.strip_prefix(prefix) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => None,
        _ => Some(format!("{prefix}{path}")),
    }
}

/// What [`is_name`] takes.
const NAME: &str = "1 to 64 letters, digits, `-`, `_` or `.`";

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(plain)
}

fn default_header() -> String {
    "x-variant".to_owned()
}

const fn default_max_age() -> u32 {
    30 * 86_400
}

fn default_path() -> String {
    "/".to_owned()
}

#[cfg(test)]
mod tests;
