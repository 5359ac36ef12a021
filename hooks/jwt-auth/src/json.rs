//! JSON that says each thing once. A repeated member means what the reader likes, and the edge and the origin might not
//! like the same (RFC 7519, 4).

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads an object; members must be unique at every depth.
///
/// # Errors
/// If it is no JSON, no object, or has a member twice.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    match serde_json::from_slice(bytes)? {
        Unique(Value::Object(members)) => Ok(members),
        Unique(_) => Err(serde_json::Error::custom("not an object")),
    }
}

struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Unique)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Unique(value))) = object.next_entry::<String, _>()? {
            if members.contains_key(&name) {
                return Err(A::Error::custom("a member is there twice"));
            }
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn members_are_unique_at_every_depth() {
        assert!(object(br#"{"a":1,"b":{"a":1}}"#).is_ok());
        assert!(object(br#"{"a":1,"a":1}"#).is_err());
        assert!(object(br#"{"a":1,"\u0061":2}"#).is_err(), "the same name, spelled otherwise");
        assert!(object(br#"{"x":[{"b":{"a":1,"a":2}}]}"#).is_err());
    }

    #[test]
    fn only_a_whole_object_will_do() {
        for text in ["", "[]", "null", "1", "{} {}", "{\"a\":1e999}", "{\"a\":\"\u{1}\"}"] {
            assert!(object(text.as_bytes()).is_err(), "{text}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_err(), "not UTF-8");
        let deep = [b"{\"a\":".repeat(200), b"1".to_vec(), b"}".repeat(200)].concat();
        assert!(object(&deep).is_err(), "too deep");
    }

    proptest! {
        /// What serde_json writes from an object reads as the same object.
        #[test]
        fn reads_what_serde_json_writes(members in prop::collection::btree_map(".{0,8}", any::<i64>(), 0..6)) {
            let text = serde_json::to_vec(&members).expect("writes");
            let read = object(&text).expect("reads");
            prop_assert_eq!(serde_json::to_value(&members).expect("converts"), Value::Object(read));
        }
    }
}
