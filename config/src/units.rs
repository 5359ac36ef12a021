//! Values that people write as text: times, sizes, host and path patterns, networks, header names. Each is parsed once,
//! here; nothing outside reads the text again. Knows no TOML and no report: errors are enums that can say what helps.

mod country;
mod duration;
mod hash;
mod header;
mod host;
mod network;
mod path;
mod size;
mod template;
mod text_pattern;
mod url;
mod web_origin;

pub use country::{CountryError, parse_country};
pub use duration::{DurationError, format_duration, parse_duration};
pub use hash::{HashError, parse_sha256};
pub use header::{HeaderError, check_header_value, parse_header_name, parse_method};
pub use host::{HostError, HostPattern};
pub use network::{AddressError, NetworkError, parse_address, parse_network};
pub use path::{Literals, PathError, PathPattern};
pub use size::{SizeError, format_size, parse_size};
pub use template::{Part, Template, UnknownVariable, Variable};
pub use text_pattern::{TextPattern, TextPatternError};
pub use url::{OriginUrl, UrlError, parse_endpoint, parse_host_header};
pub use web_origin::{OriginPattern, OriginPatternError};
