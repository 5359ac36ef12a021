use super::super::hello::{Assembly, Progress};
use super::super::samples::SAMPLES;
use super::*;

fn hello(bytes: &[u8]) -> ClientHello {
    let mut assembly = Assembly::default();
    assembly.room().extend_from_slice(bytes);
    assert_eq!(assembly.look(), Progress::Done);
    assembly.finish().1.expect("a whole message")
}

#[test]
fn recorded_viewers_have_the_fingerprints_that_others_make_of_them() {
    for sample in &SAMPLES {
        let made = Fingerprints::of(&hello(&sample.bytes())).unwrap();
        assert_eq!(
            (made.ja3.to_str().unwrap(), made.ja4.to_str().unwrap()),
            (sample.ja3, sample.ja4),
            "{}",
            sample.who
        );
    }
}

#[test]
fn ja3_examples_of_its_authors() {
    let old = ClientHello {
        version: 769,
        suites: vec![47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4],
        extensions: vec![0, 10, 11],
        groups: vec![23, 24, 25],
        formats: vec![0],
        ..ClientHello::default()
    };
    assert_eq!(ja3_text(&old), "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0");
    assert_eq!(ja3(&old), "ada70206e40642a3e4461f35503241d5");
    let bare =
        ClientHello { version: 769, suites: vec![4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99], ..ClientHello::default() };
    assert_eq!(ja3_text(&bare), "769,4-5-10-9-100-98-3-6-19-18-99,,,");
    assert_eq!(ja3(&bare), "de350869b8c85de67a350c8d186f11e6");
}

#[test]
fn ja4_where_things_are_missing() {
    let nothing = ClientHello { version: 0x0303, ..ClientHello::default() };
    assert_eq!(ja4(&nothing), "t12i000000_000000000000_000000000000");
    // Name and protocol are told in front only.
    let named = ClientHello { extensions: vec![16, 0], protocol: Some((b'h', b'2')), ..nothing };
    assert_eq!(ja4(&named), "t12d0002h2_000000000000_000000000000");
    // The example of the specification without its signatures.
    let extensions = vec![27, 0, 51, 16, 17513, 23, 45, 13, 5, 35, 18, 43, 65281, 11, 10, 21];
    let unsigned = ClientHello { extensions, ..ClientHello::default() };
    assert!(ja4(&unsigned).ends_with("_6d807ffa2a79"), "{}", ja4(&unsigned));
    let many =
        ClientHello { suites: (0..300).collect(), versions: Some(vec![0x0305, 0x0304]), ..ClientHello::default() };
    assert!(ja4(&many).starts_with("t00i990000_"), "{}", ja4(&many));
    let made_up = ClientHello { version: 0x0303, versions: Some(Vec::new()), ..ClientHello::default() };
    assert!(ja4(&made_up).starts_with("t00i"), "{}", ja4(&made_up));
}

#[test]
fn ja4_ends_of_protocols() {
    // The table of the specification, "ALPN Extension Value".
    for (bytes, wanted) in [
        (&b"h2"[..], "h2"),
        (b"http/1.1", "h1"),
        (b"h", "hh"),
        (&[0xab], "ab"),
        (&[0xab, 0xcd], "ad"),
        (&[0x30, 0xab], "3b"),
        (&[0x30, 0x31, 0xab, 0xcd], "3d"),
        (&[0x30, 0xab, 0xcd, 0x31], "01"),
    ] {
        let (first, last) = ends((bytes[0], bytes[bytes.len() - 1]));
        assert_eq!(format!("{first}{last}"), wanted, "{bytes:?}");
    }
}
