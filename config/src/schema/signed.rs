//! Signed URLs and cookies: public keys and groups of them.

use super::Secret;
use crate::decode::{List, Text, table};

table! {
    /// A public key that signatures of URLs and cookies are checked with (CloudFront: "public keys").
    PublicKey {
        /// What signers write as `Key-Pair-Id`. Default: its name here.
        id: Opt<Text>,
        /// RSA with 2048 to 4096 bits, or ECDSA on P-256, as PEM (`-----BEGIN PUBLIC KEY-----`): a text, { file = "…" } or
        /// { env = "…" }.
        key: Req<Secret>,
    }
}

table! {
    /// Public keys that behaviors trust together (CloudFront: "key groups").
    KeyGroup {
        /// Names of public keys, 1 to 100. A signature of any of them is good.
        keys: Req<List<Text>>,
    }
}
