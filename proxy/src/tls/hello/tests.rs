use proptest::prelude::*;

use super::super::samples::SAMPLES;
use super::*;

/// What is read of bytes that come in parts of a size.
fn read(bytes: &[u8], part: usize) -> (Progress, Option<ClientHello>) {
    let mut assembly = Assembly::default();
    let mut progress = assembly.look();
    for part in bytes.chunks(part.max(1)) {
        if progress == Progress::Done {
            break;
        }
        assembly.room().extend_from_slice(part);
        progress = assembly.look();
    }
    let (raw, hello) = assembly.finish();
    assert!(bytes.starts_with(&raw), "what was read is handed over as it came");
    (progress, hello)
}

/// A message in records of a size.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    message
        .chunks(size)
        .flat_map(|part| [&[22, 3, 1, (part.len() >> 8) as u8, part.len() as u8][..], part].concat())
        .collect()
}

/// A message with its head.
fn message(body: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1, a, b, c][..], body].concat()
}

/// A message with these extensions, which may be anything.
fn with_extensions(extensions: &[u8]) -> Vec<u8> {
    let length = u16::try_from(extensions.len()).unwrap().to_be_bytes();
    let start = [&[3, 3][..], &[7; 32], &[0], &[0, 4, 0x13, 1, 0xfa, 0xfa], &[1, 0]].concat();
    message(&[&start[..], &length, extensions].concat())
}

#[test]
fn it_is_the_same_in_any_number_of_pieces() {
    for sample in &SAMPLES {
        let bytes = sample.bytes();
        let (progress, whole) = read(&bytes, bytes.len());
        assert_eq!(progress, Progress::Done);
        assert!(whole.is_some());
        for (record, part) in [(usize::MAX, 1), (bytes.len(), 7), (100, 3), (1, 1), (3, usize::MAX), (4, 5)] {
            let cut = if record == usize::MAX { bytes.clone() } else { records(&bytes[5..], record) };
            assert_eq!(
                read(&cut, part),
                (Progress::Done, read(&bytes, bytes.len()).1),
                "{}: {record} {part}",
                sample.who
            );
        }
        // What comes after it is kept too.
        let more = [&bytes[..], b"more"].concat();
        assert_eq!(read(&more, more.len()), (Progress::Done, whole));
    }
}

#[test]
fn until_it_is_whole_more_is_awaited() {
    let bytes = SAMPLES[0].bytes();
    for end in 0..bytes.len() {
        assert_eq!(read(&bytes[..end], end), (Progress::More, None), "{end}");
    }
}

#[test]
fn what_is_no_first_message_is_known_at_once() {
    let long = message(&vec![0; MOST]);
    let pieces = records(&message(&[0; 10_000]), 1);
    for (what, bytes) in [
        ("HTTP", &b"GET / HTTP/1.1\r\n"[..]),
        ("one byte of it", b"G"),
        ("SSL 2", &[0x80, 0x2e, 1, 0, 2]),
        ("an alert", &[21, 3, 1, 0, 2, 1, 0]),
        ("another version of records", &[22, 2, 0, 0, 5, 1]),
        ("an empty record", &[22, 3, 1, 0, 0]),
        ("a record that is too long", &[22, 3, 1, 0x40, 1]),
        ("another message", &[22, 3, 1, 0, 200, 2]),
        ("a message that is too long", &records(&long, RECORD)),
        ("too many pieces", &pieces),
    ] {
        assert_eq!(read(bytes, bytes.len()), (Progress::Done, None), "{what}");
        assert_eq!(read(bytes, 1), (Progress::Done, None), "{what}, byte by byte");
    }
    // Not a byte more than is kept of it.
    let mut assembly = Assembly::default();
    while assembly.look() == Progress::More {
        let at = assembly.room().len();
        assembly.room().push(pieces[at]);
    }
    assert_eq!(assembly.finish().0.len(), MOST_RAW + 1);
}

#[test]
fn lengths_that_lie() {
    let hello = |extensions: &[u8]| read(&records(&with_extensions(extensions), RECORD), 64).1;
    // Made-up values are left out, also where an extension has such a type and says nonsense.
    let good = hello(&[0x2a, 0x2a, 0, 1, 9, 0, 10, 0, 6, 0, 4, 0x0a, 0x0a, 0, 29]).unwrap();
    assert_eq!((good.suites, good.extensions, good.groups), (vec![0x1301], vec![10], vec![29]));
    for (what, extensions) in [
        ("an extension beyond the end", &[0, 10, 0, 9, 0][..]),
        ("half a type", &[0]),
        ("a list beyond its extension", &[0, 10, 0, 3, 0, 9, 0]),
        ("half a group", &[0, 10, 0, 3, 0, 1, 0]),
        ("no length of formats", &[0, 11, 0, 0]),
        ("half a version", &[0, 43, 0, 2, 1, 3]),
        ("protocols beyond their extension", &[0, 16, 0, 2, 0, 5]),
    ] {
        assert_eq!(hello(extensions), None, "{what}");
    }
    // The first protocol is empty, or longer than the list: there is none.
    for first in [[0, 16, 0, 3, 0, 1, 0], [0, 16, 0, 3, 0, 1, 9]] {
        assert_eq!(hello(&first).unwrap().protocol, None);
    }
    let whole = with_extensions(&[0, 23, 0, 0]);
    for (what, body) in [
        ("nothing", &whole[4..4]),
        ("cut in the random bytes", &whole[4..20]),
        ("bytes after the end", &[&whole[4..], &[0]].concat()),
        ("a session beyond the end", &[&[3, 3][..], &[7; 32], &[33]].concat()),
        ("half a suite", &[&[3, 3][..], &[7; 32], &[0, 0, 3, 0x13, 1, 0, 1, 0]].concat()),
    ] {
        assert_eq!(read(&records(&message(body), RECORD), 64), (Progress::Done, None), "{what}");
    }
    // Before TLS 1.2 there may be no extensions at all (RFC 5246, 7.4.1.2).
    let bare = [&[3, 1][..], &[7; 32], &[0, 0, 2, 0, 4, 1, 0]].concat();
    assert_eq!(read(&records(&message(&bare), RECORD), 64).1.unwrap().suites, [4]);
}

proptest! {
    #[test]
    fn nothing_that_viewers_send_is_too_much(
        which in 0..SAMPLES.len(),
        changes in prop::collection::vec((0_usize..600, any::<u8>()), 0..8),
        end in 0_usize..600,
        part in 1_usize..600,
    ) {
        let mut bytes = SAMPLES[which].bytes();
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        bytes.truncate(end.max(1));
        let (_, hello) = read(&bytes, part);
        if let Some(hello) = hello {
            prop_assert!(super::super::fingerprint::Fingerprints::of(&hello).is_some());
        }
    }

    #[test]
    fn nor_is_anything_else(bytes in prop::collection::vec(any::<u8>(), 0..400), part in 1_usize..400) {
        let framed = records(&message(&bytes), 150);
        read(&bytes, part);
        read(&framed, part);
    }
}
