//! Who asks: address, connection and geo facts, each asked from the edge when needed.

use crate::bindings::imports::edgeweir::hook::viewer as host;

/// The viewer. A fact that the edge does not know is `None`.
#[derive(Debug)]
pub struct Viewer(());

impl Viewer {
    pub(crate) const fn new() -> Self {
        Self(())
    }

    /// The viewer's address, as settled by the config's trust policy.
    #[must_use]
    pub fn address(&self) -> String {
        host::address()
    }

    /// The viewer's port; `None` when a trusted proxy stood between.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        host::port()
    }

    /// `1.0`, `1.1` or `2.0`.
    #[must_use]
    pub fn http_version(&self) -> String {
        host::http_version()
    }

    /// `TLSv1.2` or `TLSv1.3`; `None` for plain text.
    #[must_use]
    pub fn tls_version(&self) -> Option<String> {
        host::tls_version()
    }

    /// ISO 3166-1 alpha-2 country code, for example `CH`.
    #[must_use]
    pub fn country(&self) -> Option<String> {
        host::country()
    }

    /// Two-letter continent code, for example `EU`.
    #[must_use]
    pub fn continent(&self) -> Option<String> {
        host::continent()
    }

    /// ISO 3166-2 code of the first-level region without its country, for example `ZH`.
    #[must_use]
    pub fn region(&self) -> Option<String> {
        host::region()
    }

    /// City name in English.
    #[must_use]
    pub fn city(&self) -> Option<String> {
        host::city()
    }

    /// Autonomous system number.
    #[must_use]
    pub fn asn(&self) -> Option<u32> {
        host::asn()
    }

    /// IANA time zone, for example `Europe/Zurich`.
    #[must_use]
    pub fn time_zone(&self) -> Option<String> {
        host::time_zone()
    }

    /// Latitude and longitude in degrees.
    #[must_use]
    pub fn coordinates(&self) -> Option<(f64, f64)> {
        host::coordinates()
    }

    /// What kind of device the `user-agent` header tells of. Worked out when it is asked for; let the cache key have it
    /// ([`Edits::cache_key`](crate::viewer_request::Edits::cache_key)) if the answer depends on it.
    #[must_use]
    pub fn device(&self) -> Device {
        Device::of(&host::device())
    }
}

/// A kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Device {
    /// A desktop or laptop computer.
    Desktop,
    /// A phone.
    Mobile,
    /// A tablet.
    Tablet,
    /// A television, or what is plugged into one.
    Tv,
    /// A crawler or another program.
    Bot,
    /// Nothing that is known.
    Unknown,
}

impl Device {
    fn of(name: &str) -> Self {
        match name {
            "desktop" => Self::Desktop,
            "mobile" => Self::Mobile,
            "tablet" => Self::Tablet,
            "tv" => Self::Tv,
            "bot" => Self::Bot,
            _ => Self::Unknown,
        }
    }

    /// `desktop`, `mobile`, `tablet`, `tv`, `bot` or `unknown`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Mobile => "mobile",
            Self::Tablet => "tablet",
            Self::Tv => "tv",
            Self::Bot => "bot",
            Self::Unknown => "unknown",
        }
    }
}
