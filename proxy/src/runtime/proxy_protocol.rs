//! The PROXY protocol, versions 1 and 2 (HAProxy, "The PROXY protocol"): before its first byte, a balancer says who connected to
//! it. Reads no byte beyond that, so what follows (TLS, HTTP) is whole. Who may say it is for the accept loop to know.

use std::io;
use std::net::SocketAddr;

use proxy_header::{ParseConfig, ProxyHeader};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Signature of version 2.
const V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Longest header of version 1, with its line end (2.1).
const V1_MOST: usize = 107;
/// Most bytes of addresses and extensions (TLVs) that are taken of version 2. Senders should stay below 536 in all (2.2);
/// certificates of viewers are longer.
const V2_MOST: usize = 4_096;

/// Why there is no header to go by.
#[derive(Debug, thiserror::Error)]
pub enum PreambleError {
    /// The connection broke off.
    #[error("the connection ended before its PROXY header")]
    Io(#[from] io::Error),
    /// It begins with something else, or breaks the specification.
    #[error("no PROXY header, or a malformed one")]
    Malformed,
}

/// Reads the header. None if it says that nobody is behind it (`LOCAL`, `UNKNOWN`), or somebody without an IP address: then it
/// is the balancer itself that asks.
///
/// # Errors
/// If the connection ends, or begins with anything else.
pub async fn read(stream: &mut TcpStream) -> Result<Option<SocketAddr>, PreambleError> {
    let mut header = vec![0; V2.len()];
    stream.read_exact(&mut header).await?;
    if header == V2 {
        second(stream, &mut header).await?;
    } else if header.starts_with(b"PROXY ") {
        first(stream, &mut header).await?;
    } else {
        return Err(PreambleError::Malformed);
    }
    let config = ParseConfig { include_tlvs: false, allow_v1: true, allow_v2: true };
    let (parsed, length) = ProxyHeader::parse(&header, config).map_err(|_error| PreambleError::Malformed)?;
    if length != header.len() {
        return Err(PreambleError::Malformed);
    }
    Ok(parsed
        .proxied_address()
        .map(|address| SocketAddr::new(address.source.ip().to_canonical(), address.source.port())))
}

/// The rest of a version 2 header: its length is in it.
async fn second(stream: &mut TcpStream, header: &mut Vec<u8>) -> Result<(), PreambleError> {
    let mut fixed = [0; 4];
    stream.read_exact(&mut fixed).await?;
    let [_command, _family, high, low] = fixed;
    let rest = usize::from(u16::from_be_bytes([high, low]));
    if rest > V2_MOST {
        return Err(PreambleError::Malformed);
    }
    header.extend_from_slice(&fixed);
    let start = header.len();
    header.resize(start + rest, 0);
    stream.read_exact(header.get_mut(start..).unwrap_or_default()).await?;
    Ok(())
}

/// The rest of a version 1 header: up to its line end, which is looked for before anything is taken.
async fn first(stream: &mut TcpStream, header: &mut Vec<u8>) -> Result<(), PreambleError> {
    let mut peeked = [0; V1_MOST];
    while !header.ends_with(b"\n") {
        let room = peeked.get_mut(..V1_MOST.saturating_sub(header.len())).unwrap_or_default();
        if room.is_empty() {
            return Err(PreambleError::Malformed);
        }
        let there = stream.peek(room).await?;
        if there == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let seen = room.get(..there).unwrap_or_default();
        let take = memchr::memchr(b'\n', seen).map_or(there, |at| at + 1);
        let start = header.len();
        header.resize(start + take, 0);
        stream.read_exact(header.get_mut(start..).unwrap_or_default()).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    /// What comes of these bytes, sent one by one, and what is left after them.
    async fn sent(bytes: &[u8]) -> (Result<Option<SocketAddr>, PreambleError>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        client.set_nodelay(true).unwrap();
        let bytes = bytes.to_vec();
        let writer = tokio::spawn(async move {
            for byte in bytes {
                if client.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            drop(client.shutdown().await);
        });
        let read = read(&mut stream).await;
        let mut left = Vec::new();
        if read.is_ok() {
            stream.read_to_end(&mut left).await.unwrap();
        }
        drop(stream);
        writer.await.unwrap();
        (read, left)
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = V2.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    #[tokio::test]
    async fn headers_of_both_versions() {
        let v4 = [192, 0, 2, 1, 127, 0, 0, 1, 0x12, 0x34, 0, 80];
        let mut with_tlv = v4.to_vec();
        with_tlv.extend([4, 0, 2, b'x', b'y']);
        let mut v6 = [0_u8; 36];
        v6[..16].copy_from_slice(&"2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets());
        v6[32..34].copy_from_slice(&[0, 7]);
        for (bytes, wanted) in [
            (b"PROXY TCP4 192.0.2.1 127.0.0.1 4660 80\r\n".to_vec(), Some("192.0.2.1:4660")),
            (b"PROXY TCP6 2001:db8::1 ::1 7 80\r\n".to_vec(), Some("[2001:db8::1]:7")),
            (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 7 80\r\n".to_vec(), Some("192.0.2.1:7")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(), None),
            (v2(0x21, 0x11, &v4), Some("192.0.2.1:4660")),
            (v2(0x21, 0x11, &with_tlv), Some("192.0.2.1:4660")),
            (v2(0x21, 0x21, &v6), Some("[2001:db8::1]:7")),
            (v2(0x20, 0x11, &v4), None),
            (v2(0x20, 0x00, &[]), None),
            (v2(0x21, 0x31, &[b'x'; 216]), None),
        ] {
            let mut all = bytes.clone();
            all.extend(b"GET / HTTP/1.1\r\n");
            let (found, left) = sent(&all).await;
            let shown = String::from_utf8_lossy(&bytes).into_owned();
            assert_eq!(found.unwrap().map(|address| address.to_string()).as_deref(), wanted, "{shown:?}");
            assert_eq!(left, b"GET / HTTP/1.1\r\n", "{shown:?}");
        }
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        let mut long = b"PROXY TCP4 192.0.2.1 127.0.0.1 4660 80".to_vec();
        long.resize(120, b' ');
        for bytes in [
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 127.0.0.1 4660\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 127.0.0.1 4660 80\nGET / HTTP/1.1\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.256 127.0.0.1 4660 80\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::1 127.0.0.1 4660 80\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 127.0.0.1 99999 80\r\n".to_vec(),
            b"PROXY UDP4 192.0.2.1 127.0.0.1 4660 80\r\n".to_vec(),
            b"proxy TCP4 192.0.2.1 127.0.0.1 4660 80\r\n".to_vec(),
            long,
            v2(0x11, 0x11, &[0; 12]),
            v2(0x22, 0x11, &[0; 12]),
            v2(0x21, 0x11, &[0; 11]),
            v2(0x21, 0x41, &[0; 12]),
            v2(0x21, 0x11, &[0; 4_097]),
            b"PROXY TCP4 1".to_vec(),
            V2.to_vec(),
            Vec::new(),
        ] {
            let (found, _) = sent(&bytes).await;
            assert!(found.is_err(), "{:?}: {found:?}", String::from_utf8_lossy(&bytes));
        }
    }
}
