use rcgen::{CertificateParams, KeyPair};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};

use super::*;

const RSA: &str = include_str!("tests/rsa-2048.pem");
const RSA_PKCS1: &str = include_str!("tests/rsa-2048-pkcs1.pem");
const RSA_SMALL: &str = include_str!("tests/rsa-1024.pem");
/// RS256 over `signed by the edge`, made with openssl.
const RSA_SIGNATURE: &[u8] = include_bytes!("tests/rsa-2048.sig");
const DATA: &[u8] = b"signed by the edge";

struct Ec {
    keys: KeyPair,
    pem: String,
    signature: Vec<u8>,
}

fn ec(algorithm: &'static signature::EcdsaSigningAlgorithm) -> Ec {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
    let signature = pair.sign(&random, DATA).unwrap().as_ref().to_vec();
    let keys = KeyPair::try_from(pkcs8.as_ref()).unwrap();
    Ec { pem: keys.public_key_pem(), keys, signature }
}

#[test]
fn rsa_in_both_forms() {
    let keys = Keys::default();
    for pem in [RSA, RSA_PKCS1] {
        assert_eq!(keys.verify(KeyAlgorithm::Rs256, pem.as_bytes(), DATA, RSA_SIGNATURE), Ok(true));
        assert_eq!(keys.verify(KeyAlgorithm::Rs256, pem.as_bytes(), b"other", RSA_SIGNATURE), Ok(false));
        assert_eq!(keys.verify(KeyAlgorithm::Rs384, pem.as_bytes(), DATA, RSA_SIGNATURE), Ok(false));
        assert_eq!(keys.verify(KeyAlgorithm::Rs256, pem.as_bytes(), DATA, b""), Ok(false));
        assert_eq!(keys.verify(KeyAlgorithm::Es256, pem.as_bytes(), DATA, b""), Err(KeyError::NeedsP256));
    }
    assert_eq!(keys.verify(KeyAlgorithm::Rs256, RSA_SMALL.as_bytes(), DATA, b""), Err(KeyError::RsaSize));
}

#[test]
fn elliptic_curves() {
    let keys = Keys::default();
    let p256 = ec(&ECDSA_P256_SHA256_FIXED_SIGNING);
    let p384 = ec(&ECDSA_P384_SHA384_FIXED_SIGNING);
    assert_eq!(keys.verify(KeyAlgorithm::Es256, p256.pem.as_bytes(), DATA, &p256.signature), Ok(true));
    assert_eq!(keys.verify(KeyAlgorithm::Es256, p256.pem.as_bytes(), b"other", &p256.signature), Ok(false));
    assert_eq!(keys.verify(KeyAlgorithm::Es384, p384.pem.as_bytes(), DATA, &p384.signature), Ok(true));
    assert_eq!(keys.verify(KeyAlgorithm::Es384, p256.pem.as_bytes(), DATA, &p256.signature), Err(KeyError::NeedsP384));
    assert_eq!(keys.verify(KeyAlgorithm::Rs256, p256.pem.as_bytes(), DATA, &p256.signature), Err(KeyError::NeedsRsa));
}

#[test]
fn ed25519() {
    let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let signer = signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(pair.serialized_der()).unwrap();
    let (pem, signed) = (pair.public_key_pem(), signer.sign(DATA));
    let keys = Keys::default();
    assert_eq!(keys.verify(KeyAlgorithm::EdDsa, pem.as_bytes(), DATA, signed.as_ref()), Ok(true));
    assert_eq!(keys.verify(KeyAlgorithm::EdDsa, pem.as_bytes(), b"other", signed.as_ref()), Ok(false));
    assert_eq!(keys.verify(KeyAlgorithm::Es256, pem.as_bytes(), DATA, signed.as_ref()), Err(KeyError::NeedsP256));
    assert_eq!(keys.verify(KeyAlgorithm::EdDsa, RSA.as_bytes(), DATA, b""), Err(KeyError::NeedsEd25519));
}

#[test]
fn rsa_pss_is_not_pkcs1() {
    let keys = Keys::default();
    for (algorithm, expected) in [(KeyAlgorithm::Ps256, false), (KeyAlgorithm::Rs256, true)] {
        assert_eq!(keys.verify(algorithm, RSA.as_bytes(), DATA, RSA_SIGNATURE), Ok(expected), "{algorithm:?}");
    }
}

#[test]
fn a_certificate_gives_its_key() {
    let p256 = ec(&ECDSA_P256_SHA256_FIXED_SIGNING);
    let certificate = CertificateParams::new(vec!["idp.example".into()]).unwrap().self_signed(&p256.keys).unwrap();
    let verified = Keys::default().verify(KeyAlgorithm::Es256, certificate.pem().as_bytes(), DATA, &p256.signature);
    assert_eq!(verified, Ok(true));
}

#[test]
fn the_error_says_why() {
    let keys = Keys::default();
    let private = ec(&ECDSA_P256_SHA256_FIXED_SIGNING).keys.serialize_pem();
    let broken = RSA.replace("MIIBIj", "AAAAAA");
    let p521 = include_str!("tests/p521.pem");
    let long = "-".repeat(MAX_PEM + 1);
    for (pem, expected) in [
        ("", KeyError::NotPem),
        ("secret", KeyError::NotPem),
        (&private, KeyError::Private),
        (&broken, KeyError::Der),
        (p521, KeyError::Kind),
        (&long, KeyError::TooLong),
    ] {
        assert_eq!(keys.verify(KeyAlgorithm::Es256, pem.as_bytes(), DATA, b""), Err(expected), "{pem}");
    }
}

#[test]
fn the_cache_is_bounded_and_keeps_working() {
    let keys = Keys::default();
    for number in 0..3 * MAX_KEYS {
        // The same key under different texts: a comment before the first line is allowed.
        let pem = format!("key {number}\n{RSA}");
        assert_eq!(keys.verify(KeyAlgorithm::Rs256, pem.as_bytes(), DATA, RSA_SIGNATURE), Ok(true), "{number}");
        assert!(keys.parsed.read().len() <= MAX_KEYS);
    }
    assert_eq!(keys.verify(KeyAlgorithm::Rs256, b"nonsense", DATA, b""), Err(KeyError::NotPem));
    assert!(!keys.parsed.read().contains_key(b"nonsense".as_slice()));
}
