//! Which requests a behavior takes, beside its path, and from whom.

use std::fmt;

use ipnet::IpNet;

use crate::units::TextPattern;

/// What a behavior asks of the protocol that viewers speak (CloudFront: "Viewer protocol policy").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewerProtocol {
    /// The policy. Default `allow-all`.
    pub policy: ViewerProtocolPolicy,
    /// Status of redirects. Default: CloudFront's, 301 for GET and HEAD, 307 for others.
    pub redirect_status: Option<u16>,
    /// The port in `Location`, left out if it is 443, which is the default.
    pub https_port: u16,
}

/// See [`ViewerProtocol`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewerProtocolPolicy {
    /// HTTP and HTTPS.
    AllowAll,
    /// Requests by HTTP are sent to the same URL by HTTPS.
    RedirectToHttps,
    /// Requests by HTTP are refused.
    HttpsOnly,
}

/// Which viewers are refused for where they are (CloudFront: "Restrict the geographic distribution of your content").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeoRestriction {
    /// Only these are let in.
    pub allow: Option<GeoList>,
    /// These are refused, also if `allow` has them.
    pub deny: Option<GeoList>,
    /// What becomes of those whose country is not known.
    pub unknown: UnknownViewer,
}

/// What becomes of viewers whose country no database knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownViewer {
    /// They are let in.
    Allow,
    /// They are refused.
    Deny,
}

/// Viewers by where they are: who is in any of the lists is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GeoList {
    /// ISO 3166-1 alpha-2.
    pub countries: Vec<String>,
    /// Continents.
    pub continents: Vec<Continent>,
    /// Autonomous systems.
    pub asns: Vec<u32>,
    /// Networks.
    pub cidrs: Vec<IpNet>,
}

/// A continent, as geo databases code it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continent {
    /// AF.
    Africa,
    /// AN.
    Antarctica,
    /// AS.
    Asia,
    /// EU.
    Europe,
    /// NA.
    NorthAmerica,
    /// OC.
    Oceania,
    /// SA.
    SouthAmerica,
}

impl Continent {
    /// Two letters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Africa => "AF",
            Self::Antarctica => "AN",
            Self::Asia => "AS",
            Self::Europe => "EU",
            Self::NorthAmerica => "NA",
            Self::Oceania => "OC",
            Self::SouthAmerica => "SA",
        }
    }
}

/// Conditions of a behavior beside its path: all must hold, of several values of one any. Lists are in a fixed order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Header fields, in lower case.
    pub headers: Vec<(String, Vec<TextPattern>)>,
    /// Cookies.
    pub cookies: Vec<(String, Vec<TextPattern>)>,
    /// Parameters of the query, decoded.
    pub query: Vec<(String, Vec<TextPattern>)>,
    /// Methods; any if empty.
    pub methods: Vec<String>,
    /// Countries; any if empty.
    pub countries: Vec<String>,
}

impl Conditions {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One line; the same for the same conditions and different for others.
impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for (kind, wanted) in [("header", &self.headers), ("cookie", &self.cookies), ("parameter", &self.query)] {
            for (name, patterns) in wanted {
                let patterns: Vec<String> = patterns.iter().map(|pattern| format!("{:?}", pattern.as_str())).collect();
                write!(f, "{between}{kind} {name} = {}", patterns.join(" or "))?;
                between = ", ";
            }
        }
        for (kind, list) in [("method", &self.methods), ("country", &self.countries)] {
            if !list.is_empty() {
                write!(f, "{between}{kind} {}", list.join(" or "))?;
                between = ", ";
            }
        }
        Ok(())
    }
}
