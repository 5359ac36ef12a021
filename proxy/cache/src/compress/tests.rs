use std::io::Read as _;

use bytes::Bytes;

use super::*;

const ALL: [Coding; 3] = Coding::ALL;

fn request(lines: &[&str]) -> HeaderMap {
    lines.iter().map(|line| (http::header::ACCEPT_ENCODING, HeaderValue::from_str(line).unwrap())).collect()
}

fn response(status: u16, fields: &[(&'static str, &str)]) -> ResponseHeader {
    let mut header = ResponseHeader::build(status, None).unwrap();
    for (name, value) in [("content-type", "text/html; charset=utf-8"), ("content-length", "5000")] {
        if !fields.iter().any(|(known, _)| *known == name) {
            header.append_header(name, value).unwrap();
        }
    }
    fields.iter().filter(|(_, value)| !value.is_empty()).for_each(|(name, value)| {
        header.append_header(*name, *value).unwrap();
    });
    header
}

#[test]
fn rfc9110_12_5_3_the_heaviest_and_then_the_first() {
    for (lines, expected) in [
        (&["gzip, br, zstd"][..], Some(Coding::Brotli)),
        (&["gzip", "zstd"], Some(Coding::Gzip)),
        (&["GZIP;Q=1.0, br;q=0.9"], Some(Coding::Gzip)),
        (&["gzip ; q = 0.2 , zstd;q=0.201"], Some(Coding::Zstd)),
        (&["*"], Some(Coding::Brotli)),
        (&["*;q=0.1, br;q=0"], Some(Coding::Gzip)),
        (&["gzip;q=0.5, identity;q=0.8"], None),
        (&["gzip;q=0.5, identity;q=0.5"], Some(Coding::Gzip)),
        (&["gzip;q=0, identity;q=0"], None),
        (&["identity;q=0, gzip;q=0.001"], Some(Coding::Gzip)),
        (&["x-gzip"], Some(Coding::Gzip)),
        (&["deflate, compress"], None),
        (&["br;q=0.000"], None),
        (&["br;q=x"], Some(Coding::Brotli)),
        (&[""], None),
        (&[], None),
    ] {
        assert_eq!(accepted(&request(lines), &ALL), expected, "{lines:?}");
    }
    assert_eq!(accepted(&request(&["gzip, br"]), &[Coding::Gzip, Coding::Brotli]), Some(Coding::Gzip));
    assert_eq!(accepted(&request(&["zstd"]), &[Coding::Gzip]), None);
}

#[test]
fn cloudfront_sizes_types_and_statuses() {
    for (status, fields, expected) in [
        (200, &[][..], true),
        (403, &[], true),
        (404, &[], true),
        (206, &[], false),
        (301, &[], false),
        (500, &[], false),
        (200, &[("content-length", "999")], false),
        (200, &[("content-length", "1000")], true),
        (200, &[("content-length", "10000000")], true),
        (200, &[("content-length", "10000001")], false),
        (200, &[("content-length", "")], false),
        (200, &[("content-type", "")], false),
        (200, &[("content-type", "image/png")], false),
        (200, &[("content-type", "font/woff2")], false),
        (200, &[("content-type", "Application/JSON")], true),
        (200, &[("content-type", "image/svg+xml;x=1")], true),
        (200, &[("content-encoding", "identity")], false),
        (200, &[("cache-control", "max-age=1, No-Transform")], false),
        (200, &[("cache-control", "max-age=1")], true),
    ] {
        assert_eq!(eligible(&response(status, fields)), expected, "{status} {fields:?}");
    }
}

#[test]
fn types_are_sorted_for_the_search() {
    for text in ["application/dash+xml", "text/xml", "font/ttf", "application/xml", "application/x-ttf"] {
        assert!(types::is_compressed(text.as_bytes()), "{text}");
    }
}

#[test]
fn rfc9110_8_8_1_tags_become_weak() {
    for (tag, expected) in [("\"a\"", Some("W/\"a\"")), ("W/\"a\"", Some("W/\"a\"")), ("a", None), ("\"", None)] {
        let mut header = response(200, &[("etag", tag), ("accept-ranges", "bytes")]);
        describe(&mut header, Coding::Gzip, 77);
        let field = |name: &str| header.headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!(
            (field("etag"), field("content-encoding"), field("content-length")),
            (expected, Some("gzip"), Some("77"))
        );
        assert_eq!(field("accept-ranges"), None);
    }
}

#[test]
fn vary_is_said_once() {
    for (had, expected) in [("", "Accept-Encoding"), ("Origin, accept-encoding", ""), ("*", "")] {
        let mut header = response(200, &[("vary", had)]).headers.clone();
        vary(&mut header);
        let said: Vec<_> = header.get_all(VARY).iter().map(|value| value.to_str().unwrap()).collect();
        let all: Vec<_> = [had, expected].into_iter().filter(|value| !value.is_empty()).collect();
        assert_eq!(said, all);
    }
}

#[test]
fn every_coding_reads_back() {
    let plain: Vec<u8> = (0..200_000u32).flat_map(|at| format!("line {}\n", at / 3).into_bytes()).collect();
    let pieces: Vec<Bytes> = plain.chunks(70_001).map(Bytes::copy_from_slice).collect();
    for coding in ALL {
        let coded = encode(&pieces, coding).unwrap().unwrap();
        assert!(coded.len() < plain.len() / 3, "{coding:?}: {}", coded.len());
        let mut back = Vec::new();
        match coding {
            Coding::Gzip => flate2::read::GzDecoder::new(&coded[..]).read_to_end(&mut back).unwrap(),
            Coding::Brotli => brotli::Decompressor::new(&coded[..], 4096).read_to_end(&mut back).unwrap(),
            Coding::Zstd => zstd::Decoder::new(&coded[..]).unwrap().read_to_end(&mut back).unwrap(),
        };
        assert!(back == plain, "{coding:?}");
    }
    let noise: Vec<u8> = (0..4_000u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    let noise: Vec<u8> = noise.iter().enumerate().map(|(at, byte)| byte ^ ((at * at * 7919) >> 3) as u8).collect();
    for coding in ALL {
        assert!(encode(&[Bytes::from(noise.clone())], coding).unwrap().is_none_or(|coded| coded.len() < noise.len()));
    }
}
