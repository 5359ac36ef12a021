//! Where the hook runs and with which settings.

use serde::de::DeserializeOwned;

use crate::bindings::imports::edgeweir::hook::context as host;
use crate::error::{Error, Result};

/// Where the hook runs.
#[derive(Debug)]
pub struct Context(());

impl Context {
    pub(crate) const fn new() -> Self {
        Self(())
    }

    /// Name of the distribution.
    #[must_use]
    pub fn distribution(&self) -> String {
        host::distribution()
    }

    /// Path pattern of the behavior.
    #[must_use]
    pub fn behavior(&self) -> String {
        host::behavior()
    }

    /// Name of the origin; `None` at the viewer stages.
    #[must_use]
    pub fn origin(&self) -> Option<String> {
        host::origin()
    }

    /// `viewer-request`, `origin-request`, `origin-response`, `viewer-response` or `authorizer`.
    #[must_use]
    pub fn stage(&self) -> String {
        host::stage()
    }

    /// The request id, as in the access log and in the `x-request-id` header.
    #[must_use]
    pub fn request_id(&self) -> String {
        host::request_id()
    }

    /// The note that an earlier stage of this request left.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        host::note()
    }

    /// Who the caller is, as the behavior's authorizer says.
    #[must_use]
    pub fn principal(&self) -> Option<String> {
        host::principal()
    }

    /// A value of the authorizer's context, by its name.
    #[must_use]
    pub fn authorizer(&self, name: &str) -> Option<String> {
        host::authorizer(name)
    }

    /// The settings of this binding, as the config's table `settings` has them.
    ///
    /// # Errors
    /// If they do not fit `T`: the message names the key.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T> {
        parse(&host::settings())
    }

    /// The settings of this binding as JSON text, for a hook that reads them in its own way; `{}` if it has none.
    #[must_use]
    pub fn settings_text(&self) -> String {
        host::settings()
    }
}

/// The settings of this binding: short for [`Context::settings`].
///
/// ```no_run
/// use edgeweir_sdk::{Result, serde::Deserialize};
///
/// #[derive(Deserialize)]
/// #[serde(crate = "edgeweir_sdk::serde", deny_unknown_fields)]
/// struct Settings {
///     greeting: String,
/// }
///
/// fn greeting() -> Result<String> {
///     Ok(edgeweir_sdk::settings::<Settings>()?.greeting)
/// }
/// # greeting().unwrap();
/// ```
///
/// # Errors
/// If they do not fit `T`: the message names the key.
pub fn settings<T: DeserializeOwned>() -> Result<T> {
    Context::new().settings()
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::from(error).context("settings"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        #[serde(default)]
        limit: u8,
    }

    #[test]
    fn an_empty_table_gives_the_defaults() {
        assert_eq!(parse::<Settings>("{}").expect("valid").limit, 0);
        assert_eq!(parse::<Settings>(r#"{"limit":7}"#).expect("valid").limit, 7);
    }

    #[test]
    fn a_wrong_key_is_named() {
        let error = parse::<Settings>(r#"{"limits":7}"#).expect_err("unknown key");
        assert!(error.message().starts_with("settings: unknown field `limits`"), "{error}");
    }
}
