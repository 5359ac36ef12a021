//! Looks at the first message of a handshake on its way to the TLS library, which shows nobody what it read. What was read is
//! handed over as it came and then forgotten: once the handshake is done, the connection is like any other.

use std::io;

use futures_util::FutureExt as _;
use rustls::ServerConnection;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::tls::fingerprint::Fingerprints;
use crate::tls::hello::{Assembly, Progress};

/// Bytes that are asked for at once: most viewers' messages.
const READ: usize = 2048;

/// Shakes hands, and says what the viewer's first message looked like. No fingerprints for a message that is too long to be
/// looked at, or in too many pieces.
///
/// # Errors
/// What the socket or the TLS library says.
pub async fn accept(
    acceptor: &TlsAcceptor,
    mut stream: TcpStream,
) -> io::Result<(TlsStream<TcpStream>, Option<Fingerprints>)> {
    let mut assembly = Assembly::default();
    while assembly.look() == Progress::More {
        assembly.room().reserve(READ);
        if stream.read_buf(assembly.room()).await? == 0 {
            // The library finds the end by itself.
            break;
        }
    }
    let (bytes, hello) = assembly.finish();
    let mut taken = Ok(());
    let handshake = acceptor.accept_with(stream, |session| taken = hand_over(session, &bytes));
    drop(bytes);
    if let Err(error) = taken {
        // Once is enough for the alert; nothing else is awaited.
        let _refused = handshake.now_or_never();
        return Err(error);
    }
    let stream = handshake.await?;
    Ok((stream, hello.and_then(|hello| Fingerprints::of(&hello))))
}

fn hand_over(session: &mut ServerConnection, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        session.read_tls(&mut bytes)?;
        session.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    }
    Ok(())
}
