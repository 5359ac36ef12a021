//! The least that a pingora proxy can be: pass-through to one origin, nothing else. What Edgeweir costs on top of it is what
//! Edgeweir costs. Same allocator, buffers and profile as the edge.
//!
//! `bare_pingora LISTEN_PORT ORIGIN_PORT`

use std::net::SocketAddr;

use async_trait::async_trait;
use pingora::listeners::ListenerConfig;
use pingora::protocols::l4::stream::L4BufferSettings;
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Bare {
    origin: SocketAddr,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.origin, false, String::new())))
    }
}

fn main() {
    let mut ports = std::env::args().skip(1).map(|port| port.parse::<u16>());
    let (Some(Ok(listen)), Some(Ok(origin))) = (ports.next(), ports.next()) else {
        panic!("usage: bare_pingora LISTEN_PORT ORIGIN_PORT");
    };
    let conf = ServerConf { threads: 1, upstream_keepalive_pool_size: 1024, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let bare = Bare { origin: SocketAddr::from(([127, 0, 0, 1], origin)) };
    let mut service = http_proxy_service(&server.configuration, bare);
    let buffers = L4BufferSettings::default().write(16 * 1024);
    service.add_listener(ListenerConfig::tcp(format!("127.0.0.1:{listen}")).l4_buffer(buffers));
    server.add_service(service);
    server.run_forever();
}
