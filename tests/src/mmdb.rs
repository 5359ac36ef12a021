//! Geo databases in MaxMind's format, version 2, in which every IPv4 address has the same record.

use serde_json::{Value, json};

/// A database of this type with this record: objects, arrays, texts, and numbers (whole ones as `uint32`, others as `double`).
///
/// # Panics
/// For values that the format does not have.
#[must_use]
pub fn database(kind: &str, record: &Value) -> Vec<u8> {
    // A tree of one node, whose two records of 24 bits both point at the first byte of the data section: the number of nodes
    // and the 16 bytes between are added to it.
    let mut bytes = vec![0, 0, 17, 0, 0, 17];
    bytes.extend([0; 16]);
    encode(record, &mut bytes);
    bytes.extend(b"\xab\xcd\xefMaxMind.com");
    control(7, 9, &mut bytes);
    for (key, kind, value) in [
        ("node_count", U32, 1),
        ("record_size", U16, 24),
        ("ip_version", U16, 4),
        ("binary_format_major_version", U16, 2),
        ("binary_format_minor_version", U16, 0),
        ("build_epoch", U64, 1),
    ] {
        encode(&Value::from(key), &mut bytes);
        whole(kind, value, &mut bytes);
    }
    for (key, value) in
        [("database_type", json!(kind)), ("languages", json!(["en"])), ("description", json!({ "en": "a test" }))]
    {
        encode(&Value::from(key), &mut bytes);
        encode(&value, &mut bytes);
    }
    bytes
}

const U16: u8 = 5;
const U32: u8 = 6;
const U64: u8 = 9;

/// All bytes of a whole number, the highest first.
fn whole(kind: u8, value: u64, out: &mut Vec<u8>) {
    let bytes = value.to_be_bytes();
    let bytes = match kind {
        U16 => &bytes[6..],
        U32 => &bytes[4..],
        _ => &bytes[..],
    };
    control(kind, bytes.len(), out);
    out.extend(bytes);
}

fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(map) => {
            control(7, map.len(), out);
            for (key, value) in map {
                encode(&Value::from(key.as_str()), out);
                encode(value, out);
            }
        }
        Value::Array(items) => {
            control(11, items.len(), out);
            items.iter().for_each(|item| encode(item, out));
        }
        Value::String(text) => {
            control(2, text.len(), out);
            out.extend(text.as_bytes());
        }
        Value::Number(number) => match number.as_u64() {
            Some(value) => whole(U32, value, out),
            None => {
                control(3, 8, out);
                out.extend(number.as_f64().expect("a number").to_be_bytes());
            }
        },
        Value::Null | Value::Bool(_) => panic!("{value} is not encoded here"),
    }
}

/// The type and the size; extended types have their number in a second byte.
fn control(kind: u8, size: usize, out: &mut Vec<u8>) {
    let size = u8::try_from(size).expect("a short value");
    let (low, more) = if size < 29 { (size, None) } else { (29, Some(size - 29)) };
    if kind > 7 {
        out.extend([low, kind - 7]);
    } else {
        out.push(kind << 5 | low);
    }
    out.extend(more);
}
