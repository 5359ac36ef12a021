//! Buckets: signing of requests.

use super::SecretSource;

/// Signature Version 4 of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigV4 {
    /// Region of the bucket.
    pub region: String,
    /// Name of the service in the signature.
    pub service: String,
    /// Id of the access key.
    pub access_key: SecretSource,
    /// The secret access key.
    pub secret_key: SecretSource,
    /// Of temporary credentials.
    pub session_token: Option<SecretSource>,
    /// Sign methods other than GET and HEAD too.
    pub write: bool,
    /// Parameters of queries that go along.
    pub query: Vec<String>,
}
