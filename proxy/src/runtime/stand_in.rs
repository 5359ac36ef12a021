//! Takes the place of a viewer's session from the moment that an origin's request is made until its body is asked for.
//!
//! pingora plays a body that was read before proxying from a buffer of 64 KiB, and nothing at all if it was longer; and it
//! sends none for a request that came without. But it asks the session for that buffer, and a session can be of a kind of
//! its own (`Custom`). This one says that there is a body, whether more follows, and what was read of it. pingora asks for
//! that once, before it reads from the viewer, and hands it to `request_body_filter`: there the viewer's session takes its
//! place again, before anything else is asked of it.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::HttpTask;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session as Custom;
use pingora::protocols::http::server::Session as HttpSession;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::{Error, ErrorType, Result};

/// See the module's text.
struct StandIn {
    head: RequestHeader,
    body: Bytes,
    more: bool,
}

/// Puts a stand-in in the place of a session, which is returned. `more`: the rest of the body is still to be read from it.
#[must_use]
pub fn exchange(session: &mut HttpSession, body: Bytes, more: bool) -> Box<HttpSession> {
    let stand_in = StandIn { head: session.req_header().clone(), body, more };
    Box::new(std::mem::replace(session, HttpSession::new_custom(Box::new(stand_in))))
}

/// Everything that is not asked of a stand-in.
fn absent<T>() -> Result<T> {
    Error::e_explain(ErrorType::InternalError, "the viewer's session was not put back")
}

#[async_trait]
impl Custom for StandIn {
    fn req_header(&self) -> &RequestHeader {
        &self.head
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        &mut self.head
    }

    fn is_body_done(&mut self) -> bool {
        !self.more
    }

    fn is_body_empty(&mut self) -> bool {
        // Also a body that became empty is played: only so the session is put back.
        false
    }

    fn enable_retry_buffering(&mut self) {
        // It is kept as long as it may be needed again.
    }

    fn retry_buffer_truncated(&self) -> bool {
        false
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        Some(self.body.clone())
    }

    fn request_summary(&self) -> String {
        format!("{} {}", self.head.method, self.head.uri.path())
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        absent()
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        absent()
    }

    async fn write_response_header(&mut self, _: Box<ResponseHeader>, _: bool) -> Result<()> {
        absent()
    }

    async fn write_response_header_ref(&mut self, _: &ResponseHeader, _: bool) -> Result<()> {
        absent()
    }

    async fn write_body(&mut self, _: Bytes, _: bool) -> Result<()> {
        absent()
    }

    async fn write_trailers(&mut self, _: HeaderMap) -> Result<()> {
        absent()
    }

    async fn response_duplex_vec(&mut self, _: Vec<HttpTask>) -> Result<bool> {
        absent()
    }

    async fn read_body_or_idle(&mut self, _: bool) -> Result<Option<Bytes>> {
        absent()
    }

    async fn finish(&mut self) -> Result<()> {
        absent()
    }

    async fn finish_custom(&mut self) -> Result<()> {
        absent()
    }

    async fn shutdown(&mut self, _: u32, _: &str) {}

    fn set_read_timeout(&mut self, _: Option<Duration>) {}

    fn get_read_timeout(&self) -> Option<Duration> {
        None
    }

    fn set_write_timeout(&mut self, _: Option<Duration>) {}

    fn get_write_timeout(&self) -> Option<Duration> {
        None
    }

    fn set_total_drain_timeout(&mut self, _: Option<Duration>) {}

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        None
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        None
    }

    fn body_bytes_sent(&self) -> usize {
        0
    }

    fn body_bytes_read(&self) -> usize {
        0
    }

    fn digest(&self) -> Option<&Digest> {
        None
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        None
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        None
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        None
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        Bytes::new()
    }

    fn take_custom_message_reader(
        &mut self,
    ) -> Option<Box<dyn futures_util::Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>> {
        None
    }

    fn restore_custom_message_reader(
        &mut self,
        _: Box<dyn futures_util::Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>,
    ) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _: Box<dyn CustomMessageWrite>) -> Result<()> {
        Ok(())
    }
}
