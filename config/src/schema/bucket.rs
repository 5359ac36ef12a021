//! Buckets: signing of requests.

use super::Secret;
use crate::decode::{List, Text, table};

table! {
    /// Signature Version 4 of AWS, for S3 and servers that are compatible with it.
    SigV4 {
        /// Region of the bucket, as in "eu-central-1"; servers without regions mostly want "us-east-1".
        region: Req<Text>,
        /// Name of the service in the signature. Default: "s3".
        service: Opt<Text>,
        /// Id of the access key: a text, { file = "…" } or { env = "…" }.
        access_key: Req<Secret>,
        /// The secret access key: { file = "…" } or { env = "…" }.
        secret_key: Req<Secret>,
        /// The session token of temporary credentials.
        session_token: Opt<Secret>,
        /// Sign methods other than GET and HEAD too, so that viewers can change the bucket. Default: false; they are answered
        /// with 403.
        write: Opt<bool>,
        /// Parameters of viewers' queries that go along; all others are dropped, as they can be calls of the bucket's API. Default:
        /// none.
        query: Opt<List<Text>>,
    }
}
