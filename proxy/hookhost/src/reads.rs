//! What a hook read during a call: for finding answers that depend on something the cache key does not hold.

/// Most names kept of each kind; a hook that reads more has `overflowed` set.
const MAX_NAMES: usize = 64;

/// A fact that is not a header, a cookie or a query parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Fact {
    /// The method.
    Method,
    /// The scheme.
    Scheme,
    /// The authority.
    Authority,
    /// The path.
    Path,
    /// The whole query string.
    Query,
    /// All header fields or their names.
    AllHeaders,
    /// The viewer's address or port.
    Address,
    /// The HTTP or TLS version.
    Protocol,
    /// Country.
    Country,
    /// Continent.
    Continent,
    /// Region.
    Region,
    /// City.
    City,
    /// Autonomous system number.
    Asn,
    /// Time zone.
    TimeZone,
    /// Coordinates.
    Coordinates,
    /// The clock.
    Clock,
    /// The random generator.
    Random,
    /// The request id.
    RequestId,
    /// The note of an earlier stage.
    Note,
    /// The device class.
    Device,
    /// The request's body.
    Body,
    /// The answer of an origin.
    Fetch,
    /// What the authorizer says of the caller.
    Caller,
}

/// What a hook read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadSet {
    facts: u32,
    /// Request header fields, lower case, each once, also those that were not there.
    pub headers: Vec<Box<str>>,
    /// Cookies, each once.
    pub cookies: Vec<Box<str>>,
    /// Query parameters, each once.
    pub query_params: Vec<Box<str>>,
    /// Whether there were more than 64 names of one kind: the lists are not complete then.
    pub overflowed: bool,
}

impl ReadSet {
    /// Whether the hook read this.
    #[must_use]
    pub fn has(&self, fact: Fact) -> bool {
        self.facts & (1 << fact as u32) != 0
    }

    pub(crate) fn fact(&mut self, fact: Fact) {
        self.facts |= 1 << fact as u32;
    }

    pub(crate) fn header(&mut self, name: &str) {
        self.overflowed |= !note(&mut self.headers, name);
    }

    pub(crate) fn cookie(&mut self, name: &str) {
        self.overflowed |= !note(&mut self.cookies, name);
    }

    pub(crate) fn query_param(&mut self, name: &str) {
        self.overflowed |= !note(&mut self.query_params, name);
    }
}

/// Adds a name unless it is there; false if there is no room.
fn note(names: &mut Vec<Box<str>>, name: &str) -> bool {
    if names.iter().any(|n| **n == *name) {
        return true;
    }
    if names.len() == MAX_NAMES {
        return false;
    }
    names.push(name.into());
    true
}
