//! Texts with variables: `${country}`, `${header:accept}`, `${1}`; `$$` is a dollar sign.

use std::fmt;

use edgeweir_sdk::{Error, Result};
use serde::de::{Deserialize, Deserializer, Error as _};

/// A text with variables, parsed once for each call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(Variable),
}

/// What a template may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Variable {
    /// The n-th `*` of the path pattern, from 1.
    Capture(usize),
    /// First value of a request header.
    Header(String),
    /// Value of a cookie.
    Cookie(String),
    Method,
    Scheme,
    Host,
    Path,
    Query,
    Address,
    Country,
    Continent,
    Region,
    City,
    Asn,
    Distribution,
    RequestId,
}

/// Variables without an argument.
const NAMED: [(&str, Variable); 13] = [
    ("address", Variable::Address),
    ("asn", Variable::Asn),
    ("city", Variable::City),
    ("continent", Variable::Continent),
    ("country", Variable::Country),
    ("distribution", Variable::Distribution),
    ("host", Variable::Host),
    ("method", Variable::Method),
    ("path", Variable::Path),
    ("query", Variable::Query),
    ("region", Variable::Region),
    ("request_id", Variable::RequestId),
    ("scheme", Variable::Scheme),
];

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// The message names the variable that is not known, or says that a `}` is missing.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            literal.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                literal.push('$');
                rest = after;
            } else if let Some(after) = after.strip_prefix('{') {
                let Some((name, after)) = after.split_once('}') else {
                    return Err(Error::new(format!("`}}` is missing in `{text}`")));
                };
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(Part::Variable(Variable::parse(name)?));
                rest = after;
            } else {
                literal.push('$');
                rest = after;
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self(parts))
    }

    /// The highest capture that the template asks for; 0 if none.
    pub(crate) fn highest_capture(&self) -> usize {
        let captures = self.0.iter().map(|part| match part {
            Part::Variable(Variable::Capture(nth)) => *nth,
            _ => 0,
        });
        captures.max().unwrap_or(0)
    }

    /// The text with each variable's value in its place; a variable without a value is empty.
    pub(crate) fn fill(&self, mut value: impl FnMut(&Variable) -> Option<Vec<u8>>) -> Vec<u8> {
        let mut text = Vec::new();
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.extend_from_slice(literal.as_bytes()),
                Part::Variable(variable) => text.extend(value(variable).unwrap_or_default()),
            }
        }
        text
    }
}

impl Variable {
    fn parse(name: &str) -> Result<Self> {
        match name.split_once(':') {
            Some(("header", header)) if !header.is_empty() => return Ok(Self::Header(header.to_ascii_lowercase())),
            Some(("cookie", cookie)) if !cookie.is_empty() => return Ok(Self::Cookie(cookie.to_owned())),
            _ => {}
        }
        if let Ok(nth @ 1..) = name.parse::<usize>() {
            return Ok(Self::Capture(nth));
        }
        match NAMED.iter().find(|(known, _)| *known == name) {
            Some((_, variable)) => Ok(variable.clone()),
            None => {
                let known: Vec<_> = NAMED.iter().map(|(known, _)| *known).collect();
                Err(Error::new(format!(
                    "unknown variable `${{{name}}}`; there are {}, header:NAME, cookie:NAME and the captures 1, 2, …",
                    known.join(", ")
                )))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl serde::de::Visitor<'_> for Text {
            type Value = Template;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, with variables such as `${country}`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Template, E> {
                Template::parse(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> String {
        let filled = Template::parse(text).expect("valid").fill(|variable| match variable {
            Variable::Country => Some(b"CH".to_vec()),
            Variable::Header(name) => Some(name.clone().into_bytes()),
            Variable::Cookie(name) => Some(name.clone().into_bytes()),
            Variable::Capture(nth) => Some(format!("<{nth}>").into_bytes()),
            _ => None,
        });
        String::from_utf8(filled).expect("text")
    }

    #[test]
    fn variables_are_filled_in() {
        assert_eq!(fill("from ${country}, ${header:X-A}/${cookie:Sid} ${12}"), "from CH, x-a/Sid <12>");
        assert_eq!(fill("${query}"), "");
        assert_eq!(fill(""), "");
        assert_eq!(fill("$$ 5 $ $${country}$"), "$ 5 $ ${country}$");
    }

    #[test]
    fn mistakes_are_named() {
        let message = |text: &str| Template::parse(text).expect_err(text).to_string();
        assert!(message("a ${contry}").starts_with("unknown variable `${contry}`; there are address, asn,"));
        assert!(message("${0}").starts_with("unknown variable `${0}`"));
        assert!(message("${header:}").starts_with("unknown variable `${header:}`"));
        assert_eq!(message("x ${country"), "`}` is missing in `x ${country`");
    }

    #[test]
    fn the_highest_capture_is_found() {
        assert_eq!(Template::parse("${2}${1}").expect("valid").highest_capture(), 2);
        assert_eq!(Template::parse("x").expect("valid").highest_capture(), 0);
    }
}
