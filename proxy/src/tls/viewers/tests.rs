use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::*;

/// Made by OpenSSL 3.0, which says the same of it (`x509 -serial -dates -fingerprint -sha256 -nameopt RFC2253`), but for the
/// type of the address: it has a name for it that RFC 2253 has not.
const MADE: &str = "\
-----BEGIN CERTIFICATE-----
MIICPDCCAeOgAwIBAgIGAJ8BAgMEMAoGCCqGSM49BAMCMHsxCzAJBgNVBAYTAlVT
MRMwEQYDVQQIDApXYXNoaW5ndG9uMRUwEwYDVQQKDAxtK1RMUywgIkluYyIxETAP
BgNVBAsMCGNsaWVudC0zMRQwEgYDVQQDDAsjY2xpZW50IMOpOzEXMBUGCSqGSIb3
DQEJARYIYUBiLnRlc3QwHhcNMjYxMTIyMDY1MzM3WhcNMzYxMTE5MDY1MzM3WjB7
MQswCQYDVQQGEwJVUzETMBEGA1UECAwKV2FzaGluZ3RvbjEVMBMGA1UECgwMbStU
TFMsICJJbmMiMREwDwYDVQQLDAhjbGllbnQtMzEUMBIGA1UEAwwLI2NsaWVudCDD
qTsxFzAVBgkqhkiG9w0BCQEWCGFAYi50ZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEeB52BTFmCaOlMmkRg3E184JoczRu5qLE8wQJCNsNwKHa7Oatv/mCwe3P
iSgWgdUcuwNVAX6KzrDxnkV4R1rMYaNTMFEwHQYDVR0OBBYEFK5DvrT+2V3rJ1EQ
LAoz1/dc+90SMB8GA1UdIwQYMBaAFK5DvrT+2V3rJ1EQLAoz1/dc+90SMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgZdzIxNeUTzmr7WsY7TgYkPMG
Hka6gv6qvufPbEB/a24CIEKNW4HQ7nCq5RzzusDDBV6stiOX23KFSYb/lc7RGc9T
-----END CERTIFICATE-----
";
const SHA256: &str = "2b9b3e9c1fe314451a92f63d2af429763ab3b82d46b20a94f7aeccecf0cc6275";

#[test]
fn what_a_certificate_says() {
    let der = CertificateDer::from_pem_slice(MADE.as_bytes()).unwrap();
    let said = |what| fact(what, &der).unwrap();
    assert_eq!(said(ViewerFact::CertSerial), "9f:01:02:03:04");
    let name = r#"1.2.840.113549.1.9.1=#16086140622e74657374,CN=\#client \C3\A9\;,OU=client-3,O=m\+TLS\, \"Inc\",ST=Washington,C=US"#;
    assert_eq!(said(ViewerFact::CertSubject), name);
    assert_eq!(said(ViewerFact::CertIssuer), name);
    assert_eq!(said(ViewerFact::CertSha256), SHA256);
    assert_eq!(said(ViewerFact::CertValidity), "NotBefore=2026-11-22T06:53:37Z;NotAfter=2036-11-19T06:53:37Z");
    let pem = said(ViewerFact::CertPem);
    assert_eq!(
        pem.replace("%0A", "\n").replace("%20", " ").replace("%2B", "+").replace("%2F", "/").replace("%3D", "="),
        MADE
    );
    assert!(pem.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"%-".contains(&byte)), "{pem}");
    assert_eq!(fact(ViewerFact::Country, &der), None);
}

#[test]
fn what_no_field_can_carry() {
    assert_eq!(fact(ViewerFact::CertPem, &[0; 7000]), None, "too long");
    assert!(fact(ViewerFact::CertPem, &[0; 5000]).is_some());
    assert_eq!(fact(ViewerFact::CertSubject, b"no certificate"), None);
    for (bytes, wanted) in [(&[0][..], "00"), (&[0, 0x80], "80"), (&[1, 0], "01:00")] {
        assert_eq!(serial(bytes), wanted);
    }
    for (value, wanted) in [(" a ", r"\ a\ "), ("", ""), ("a\n#", r"a\0A#"), (" ", r"\ ")] {
        let mut text = String::new();
        put_value(&mut text, value);
        assert_eq!(text, wanted, "{value:?}");
    }
}
