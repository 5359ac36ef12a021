//! Socket addresses and networks. Nothing is resolved: a name is not an address.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use thiserror::Error;

/// Why a text is not an address with a port.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not an IP address and port")]
pub struct AddressError(String);

impl AddressError {
    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let text = self.0.as_str();
        let port = text.strip_prefix(':').or_else(|| text.strip_prefix("*:")).unwrap_or(text);
        if port.parse::<u16>().is_ok() {
            return Some(format!(
                "write `0.0.0.0:{port}` or `[::]:{port}` for all addresses, `127.0.0.1:{port}` for this machine only"
            ));
        }
        if let Some(port) = text.strip_prefix("localhost:") {
            return Some(format!("write `127.0.0.1:{port}`"));
        }
        match text.parse() {
            Ok(IpAddr::V4(_)) => Some(format!("add a port: `{text}:8080`")),
            Ok(IpAddr::V6(_)) => Some(format!("an IPv6 address stands in brackets: `[{text}]:8080`")),
            Err(_) => Some("write an address as in `127.0.0.1:8080` or `[::1]:8080`".to_owned()),
        }
    }
}

/// Reads an address with its port.
///
/// # Errors
/// If it is anything else, a host name included.
pub fn parse_address(text: &str) -> Result<SocketAddr, AddressError> {
    text.parse().map_err(|_| AddressError(text.to_owned()))
}

/// Why a text is not a network.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// Neither an address nor a network.
    #[error("`{0}` is not a network")]
    NotANetwork(String),
    /// Bits behind the prefix are set.
    #[error("`{given}` has bits behind its prefix")]
    HostBits {
        /// As written.
        given: String,
        /// The network it is in.
        network: IpNet,
    },
}

impl NetworkError {
    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::NotANetwork(_) => {
                "write a network as in `10.0.0.0/8` or `fd00::/8`, or one address as in `192.0.2.1`".to_owned()
            }
            Self::HostBits { given, network } => {
                let address = given.split('/').next().unwrap_or_default();
                format!("write `{network}` for the network or `{address}` for the one address")
            }
        })
    }
}

/// Reads a network in prefix notation (RFC 4632 §3.1), or one address.
///
/// # Errors
/// If it is neither, or if bits behind the prefix are set.
pub fn parse_network(text: &str) -> Result<IpNet, NetworkError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let given: IpNet = text.parse().map_err(|_| NetworkError::NotANetwork(text.to_owned()))?;
    let network = given.trunc();
    if network == given { Ok(given) } else { Err(NetworkError::HostBits { given: text.to_owned(), network }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(parse_address("[::]:443").unwrap().port(), 443);
        assert!(parse_address("127.0.0.1:0").is_ok());
        let help = |text: &str| parse_address(text).unwrap_err().help().unwrap();
        assert!(help("8080").contains("`127.0.0.1:8080`"));
        assert!(help(":8080").contains("`127.0.0.1:8080`"));
        assert_eq!(help("localhost:80"), "write `127.0.0.1:80`");
        assert_eq!(help("::1"), "an IPv6 address stands in brackets: `[::1]:8080`");
        assert_eq!(help("10.0.0.1"), "add a port: `10.0.0.1:8080`");
        assert!(help("example.com:80").contains("write an address"));
    }

    #[test]
    fn networks() {
        assert_eq!(parse_network("10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(parse_network("::1").unwrap().to_string(), "::1/128");
        assert!(matches!(parse_network("10.0.0.0/33"), Err(NetworkError::NotANetwork(_))));
        let error = parse_network("10.1.2.3/8").unwrap_err();
        assert!(error.help().unwrap().contains("`10.0.0.0/8`"), "{error:?}");
    }
}
