//! Facts about viewers that origins and cache keys can be told of (CloudFront: "Add CloudFront request headers"), and how the
//! edge knows who asks.

/// CloudFront's prefix of the fields, in lower case.
pub const VIEWER_PREFIX: &str = "cloudfront-";

/// How the edge knows who asks and what it tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// What trusted proxies say is read from this field, and from this only. Default `X-Forwarded-For`.
    pub address_header: AddressHeader,
    /// What the names of fields with facts begin with, in lower case. Default [`VIEWER_PREFIX`].
    pub header_prefix: String,
}

/// Where trusted proxies say who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressHeader {
    /// `X-Forwarded-For`, with the scheme in `X-Forwarded-Proto`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239), with the scheme in its `proto`.
    Forwarded,
}

/// Facts about the viewer that an origin can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ViewerFact {
    /// ISO 3166-1 alpha-2.
    Country,
    /// The country's name.
    CountryName,
    /// ISO 3166-2 code of the region.
    Region,
    /// The region's name.
    RegionName,
    /// City.
    City,
    /// Postal code.
    PostalCode,
    /// Metro code.
    MetroCode,
    /// IANA time zone.
    TimeZone,
    /// Degrees.
    Latitude,
    /// Degrees.
    Longitude,
    /// Autonomous system number.
    Asn,
    /// Address and port.
    Address,
    /// HTTP version.
    HttpVersion,
    /// Version, cipher and handshake kind.
    Tls,
    /// JA3 fingerprint of the handshake's first message.
    Ja3,
    /// JA4 fingerprint of it.
    Ja4,
    /// Whether the viewer showed a certificate of its own: `1` or `0`.
    CertPresent,
    /// Its serial number.
    CertSerial,
    /// Who issued it.
    CertIssuer,
    /// Whose it is.
    CertSubject,
    /// SHA-256 of it.
    CertSha256,
    /// From when until when it is valid.
    CertValidity,
    /// All of it.
    CertPem,
    /// `http` or `https`.
    ForwardedProto,
    /// How many lines of fields the viewer sent.
    HeaderCount,
    /// Their names, in the viewer's order.
    HeaderOrder,
    /// `true` or `false`, as those below.
    IsDesktop,
    /// A phone.
    IsMobile,
    /// A tablet.
    IsTablet,
    /// A television, or what is plugged into one.
    IsSmartTv,
    /// It runs Android.
    IsAndroid,
    /// It runs iOS or iPadOS.
    IsIos,
}

/// A field that tells an origin a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewerField {
    /// Its name, in lower case: the edge's prefix and the fact's name, or another that the behavior has for it.
    pub name: String,
    /// The fact.
    pub fact: ViewerFact,
}

impl ViewerFact {
    /// All of them, with what follows the prefix in the name of its field.
    pub const ALL: [(&'static str, Self); 32] = [
        ("Viewer-Country", Self::Country),
        ("Viewer-Country-Name", Self::CountryName),
        ("Viewer-Country-Region", Self::Region),
        ("Viewer-Country-Region-Name", Self::RegionName),
        ("Viewer-City", Self::City),
        ("Viewer-Postal-Code", Self::PostalCode),
        ("Viewer-Metro-Code", Self::MetroCode),
        ("Viewer-Time-Zone", Self::TimeZone),
        ("Viewer-Latitude", Self::Latitude),
        ("Viewer-Longitude", Self::Longitude),
        ("Viewer-ASN", Self::Asn),
        ("Viewer-Address", Self::Address),
        ("Viewer-Http-Version", Self::HttpVersion),
        ("Viewer-TLS", Self::Tls),
        ("Viewer-JA3-Fingerprint", Self::Ja3),
        ("Viewer-JA4-Fingerprint", Self::Ja4),
        ("Viewer-Cert-Present", Self::CertPresent),
        ("Viewer-Cert-Serial-Number", Self::CertSerial),
        ("Viewer-Cert-Issuer", Self::CertIssuer),
        ("Viewer-Cert-Subject", Self::CertSubject),
        ("Viewer-Cert-Sha256", Self::CertSha256),
        ("Viewer-Cert-Validity", Self::CertValidity),
        ("Viewer-Cert-Pem", Self::CertPem),
        ("Forwarded-Proto", Self::ForwardedProto),
        ("Viewer-Header-Count", Self::HeaderCount),
        ("Viewer-Header-Order", Self::HeaderOrder),
        ("Is-Desktop-Viewer", Self::IsDesktop),
        ("Is-Mobile-Viewer", Self::IsMobile),
        ("Is-Tablet-Viewer", Self::IsTablet),
        ("Is-SmartTV-Viewer", Self::IsSmartTv),
        ("Is-Android-Viewer", Self::IsAndroid),
        ("Is-IOS-Viewer", Self::IsIos),
    ];

    /// The fact that a field of this name carries; `prefix` in lower case.
    #[must_use]
    pub fn of(name: &str, prefix: &str) -> Option<Self> {
        let (start, rest) = name.split_at_checked(prefix.len())?;
        if !start.eq_ignore_ascii_case(prefix) {
            return None;
        }
        Self::ALL.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(rest)).map(|(_, fact)| fact)
    }

    /// What follows the prefix in the name of its field.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, fact)| *fact == self).map_or("", |(name, _)| name)
    }

    /// Whether the geo databases are asked for it.
    #[must_use]
    pub fn is_geo(self) -> bool {
        let others = [Self::Address, Self::HttpVersion, Self::Tls, Self::ForwardedProto];
        !self.is_device()
            && !self.is_of_head()
            && !self.is_fingerprint()
            && !self.is_certificate()
            && !others.contains(&self)
    }

    /// Whether it is about the viewer's head as it came.
    #[must_use]
    pub fn is_of_head(self) -> bool {
        matches!(self, Self::HeaderCount | Self::HeaderOrder)
    }

    /// Whether it is made of the first message of the TLS handshake.
    #[must_use]
    pub fn is_fingerprint(self) -> bool {
        matches!(self, Self::Ja3 | Self::Ja4)
    }

    /// Whether it is about the certificate that the viewer showed.
    #[must_use]
    pub fn is_certificate(self) -> bool {
        use ViewerFact as Fact;
        matches!(self, Fact::CertPresent | Fact::CertValidity | Fact::CertPem)
            || matches!(self, Fact::CertSerial | Fact::CertIssuer | Fact::CertSubject | Fact::CertSha256)
    }

    /// Whether it is read from the `User-Agent`.
    #[must_use]
    pub fn is_device(self) -> bool {
        matches!(
            self,
            Self::IsDesktop | Self::IsMobile | Self::IsTablet | Self::IsSmartTv | Self::IsAndroid | Self::IsIos
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_facts() {
        assert_eq!(ViewerFact::of("cloudfront-viewer-country", VIEWER_PREFIX), Some(ViewerFact::Country));
        assert_eq!(ViewerFact::of("Edge-Is-SmartTV-Viewer", "edge-"), Some(ViewerFact::IsSmartTv));
        for name in ["", "cloudfront", "cloudfront-", "edge-viewer-country", "cloudfront-viewer-countryx", "é"] {
            assert_eq!(ViewerFact::of(name, VIEWER_PREFIX), None, "{name}");
        }
        for (name, fact) in ViewerFact::ALL {
            assert_eq!(fact.name(), name);
        }
    }
}
