//! Hashes and HMACs: SHA-2 by the edge, at native speed; MD5 and SHA-1, which the edge has no use for, here.

use edgeweir_sdk::crypto::{self, Digest};
use md5::{Digest as _, Md5};
use sha1::Sha1;

/// The block of MD5 and SHA-1, in bytes (RFC 2104).
const BLOCK: usize = 64;

/// Hash functions by the names that functions use.
#[derive(Clone, Copy)]
pub(crate) enum Algorithm {
    Md5,
    Sha1,
    Edge(Digest),
}

impl Algorithm {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "md5" => Self::Md5,
            "sha1" | "sha-1" => Self::Sha1,
            "sha256" | "sha-256" => Self::Edge(Digest::Sha256),
            "sha384" | "sha-384" => Self::Edge(Digest::Sha384),
            "sha512" | "sha-512" => Self::Edge(Digest::Sha512),
            _ => return None,
        })
    }

    pub(crate) fn hash(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => Md5::digest(data).to_vec(),
            Self::Sha1 => Sha1::digest(data).to_vec(),
            Self::Edge(digest) => crypto::hash(digest, data),
        }
    }

    /// HMAC (RFC 2104).
    pub(crate) fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        if let Self::Edge(digest) = self {
            return crypto::hmac(digest, key, data);
        }
        let hashed;
        let key = if key.len() > BLOCK {
            hashed = self.hash(key);
            &hashed
        } else {
            key
        };
        let padded = |pad: u8, rest: &[u8]| {
            let mut text: Vec<u8> = key.iter().map(|byte| byte ^ pad).collect();
            text.resize(BLOCK, pad);
            text.extend_from_slice(rest);
            text
        };
        let inner = self.hash(&padded(0x36, data));
        self.hash(&padded(0x5c, &inner))
    }
}
