//! Certificates from an authority by ACME (RFC 8555).

use super::Secret;
use crate::decode::{FilePath, Text, keywords, table};
use crate::model::AcmeChallenge;

table! {
    /// An authority that certificates with `acme = true` are fetched from.
    Acme {
        /// URL of the authority's directory. Default: Let's Encrypt,
        /// "https://acme-v02.api.letsencrypt.org/directory".
        directory_url: Opt<Text>,
        /// Where the authority writes to when something is wrong with a certificate.
        email: Opt<Text>,
        /// Must be `true`: that you agree to the authority's terms of service.
        agree_to_terms: Req<bool>,
        /// How the authority sees that the host names lead here: "http-01" (it asks port 80 of each name) or
        /// "tls-alpn-01" (it shakes hands at port 443). Default: "http-01".
        challenge: Opt<AcmeChallenge>,
        /// PEM file with the certificates that the directory's own one is checked with, for an authority of your own.
        /// Default: those of the system.
        ca_file: Opt<FilePath>,
        /// The account that you have with the authority already (RFC 8555, section 7.3.4), where it wants one.
        external_account: Opt<ExternalAccount>,
    }
}

table! {
    /// An account outside of ACME.
    ExternalAccount {
        /// The authority's name for the key.
        key_id: Req<Text>,
        /// The key, in base64url without padding.
        hmac_key: Req<Secret>,
    }
}

keywords!(AcmeChallenge { "http-01" => Http01, "tls-alpn-01" => TlsAlpn01 });
