//! The session of an HTTP/2 viewer whose request fills the cache, so that a viewer who reads slowly, or not at all, keeps
//! nobody else waiting.
//!
//! pingora fills the cache and writes to the viewer in one task. Where the session has its "proxy task API" (HTTP/1), a
//! write that waits is set aside while more comes from the origin; its HTTP/2 session has none, and waits for the viewer's
//! window with the origin's body in its hands. But a session can be of a kind of its own (`Custom`): this one has the rest of
//! a write in a place of its own, from where it goes on when there is room. It takes the place of the viewer's session
//! before the head of the answer is written, and stays there.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::HttpTask;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session as Custom;
use pingora::protocols::http::server::Session as HttpSession;
use pingora::protocols::http::v2::server::HttpSession as Http2;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::{Error, ErrorType, OrErr, Result};
use tokio::time::Sleep;

/// See the module's text.
struct Patient {
    viewer: Http2,
    /// There once the head is written.
    writer: Option<SendStream<Bytes>>,
    /// What comes after `rest`.
    tasks: VecDeque<HttpTask>,
    /// What the viewer has not taken yet.
    rest: Bytes,
    /// Room for `rest` was asked for.
    asked: bool,
    /// The time that is left until the viewer has to take some of `rest`.
    limit: Option<Pin<Box<Sleep>>>,
    /// Nothing comes after what is there.
    last: bool,
    /// The end was said.
    ended: bool,
    sent: usize,
    set_aside: bool,
}

/// Makes the session of an HTTP/2 viewer one whose writes can wait. Others stay as they are.
pub fn make_patient(session: &mut HttpSession) {
    if !matches!(session, HttpSession::H2(_)) {
        return;
    }
    // Nothing is asked of what is in between.
    match std::mem::replace(session, HttpSession::new_custom(Box::new(()))) {
        HttpSession::H2(viewer) => {
            let patient = Patient {
                viewer,
                writer: None,
                tasks: VecDeque::new(),
                rest: Bytes::new(),
                asked: false,
                limit: None,
                last: false,
                ended: false,
                sent: 0,
                set_aside: true,
            };
            *session = HttpSession::new_custom(Box::new(patient));
        }
        other => *session = other,
    }
}

impl Patient {
    fn head(&mut self, head: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.viewer.write_response_header(head, end).map_err(|error| error.into_down())?;
        if self.writer.is_none() {
            // None after an interim answer.
            self.writer = self.viewer.take_response_body_writer();
        }
        self.ended |= end;
        self.last |= end;
        Ok(())
    }

    fn take(&mut self, task: HttpTask) -> Result<()> {
        match task {
            HttpTask::Header(head, end) => self.head(head, end),
            HttpTask::Body(data, end) => {
                self.rest = data.unwrap_or_default();
                self.last |= end;
                Ok(())
            }
            HttpTask::Trailer(Some(trailers)) => self.trailers(*trailers),
            HttpTask::Trailer(None) | HttpTask::Done => {
                self.last = true;
                Ok(())
            }
            HttpTask::UpgradedBody(..) => {
                Error::e_explain(ErrorType::InternalError, "HTTP/2 knows no upgrade of this kind")
            }
            HttpTask::Failed(error) => Err(error),
        }
    }

    fn trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        if let (Some(writer), false) = (&mut self.writer, self.ended) {
            writer
                .send_trailers(trailers)
                .or_err(ErrorType::WriteError, "writing trailers")
                .map_err(Error::into_down)?;
        }
        (self.last, self.ended) = (true, true);
        Ok(())
    }

    /// Writes what is there as far as the viewer takes it. Whether that was all of the answer.
    fn poll_tasks(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool>> {
        loop {
            if !self.rest.is_empty() {
                ready!(self.poll_rest(cx)).map_err(Error::into_down)?;
            } else if let Some(task) = self.tasks.pop_front() {
                self.take(task)?;
            } else {
                if self.last {
                    self.end()?;
                }
                return Poll::Ready(Ok(self.last));
            }
        }
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(writer) = self.writer.as_mut().filter(|_writer| !self.ended) else {
            return Poll::Ready(Error::e_explain(ErrorType::H2Error, "a body without its head, or after its end"));
        };
        while !self.rest.is_empty() {
            if !self.asked {
                writer.reserve_capacity(self.rest.len());
                self.asked = true;
            }
            match writer.poll_capacity(cx) {
                Poll::Ready(Some(room)) => {
                    let room = room.or_err(ErrorType::H2Error, "waiting for the viewer's window")?;
                    let part = self.rest.split_to(room.min(self.rest.len()));
                    let length = part.len();
                    writer.send_data(part, false).or_err(ErrorType::WriteError, "writing a body")?;
                    self.sent += length;
                    (self.asked, self.limit) = (false, None);
                }
                Poll::Ready(None) => {
                    return Poll::Ready(Error::e_explain(ErrorType::H2Error, "the viewer takes no more"));
                }
                Poll::Pending => {
                    let Some(limit) = self.viewer.get_write_timeout() else { return Poll::Pending };
                    let limit = self.limit.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
                    ready!(limit.as_mut().poll(cx));
                    return Poll::Ready(Error::e_explain(ErrorType::WriteTimedout, "the viewer's window stays closed"));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn end(&mut self) -> Result<()> {
        if !self.rest.is_empty() {
            return Error::e_explain(ErrorType::WriteError, "the viewer has not taken all");
        }
        if let (Some(writer), false) = (&mut self.writer, self.ended) {
            writer
                .send_data(Bytes::new(), true)
                .or_err(ErrorType::WriteError, "ending a body")
                .map_err(Error::into_down)?;
        }
        self.ended = true;
        Ok(())
    }

    async fn write_all(&mut self) -> Result<bool> {
        std::future::poll_fn(|cx| self.poll_tasks(cx)).await
    }
}

#[async_trait]
impl Custom for Patient {
    fn req_header(&self) -> &RequestHeader {
        self.viewer.req_header()
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        self.viewer.req_header_mut()
    }

    fn proxy_tasks_enabled(&self) -> bool {
        self.set_aside
    }

    fn set_proxy_tasks_enabled(&mut self, enabled: bool) {
        self.set_aside = enabled;
    }

    fn send_proxy_task(&mut self, task: HttpTask) {
        self.tasks.push_back(task);
    }

    fn has_pending_proxy_tasks(&self) -> bool {
        !self.rest.is_empty() || !self.tasks.is_empty()
    }

    async fn write_proxy_tasks(&mut self) -> Result<bool> {
        self.write_all().await
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        self.tasks.extend(tasks);
        self.write_all().await
    }

    async fn write_response_header(&mut self, head: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.head(head, end)
    }

    async fn write_response_header_ref(&mut self, head: &ResponseHeader, end: bool) -> Result<()> {
        self.head(Box::new(head.clone()), end)
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.tasks.push_back(HttpTask::Body(Some(data), end));
        self.write_all().await.map(drop)
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.trailers(trailers)
    }

    async fn finish(&mut self) -> Result<()> {
        self.end()
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    async fn shutdown(&mut self, _: u32, _: &str) {
        match &mut self.writer {
            Some(writer) if !self.ended => writer.send_reset(Reason::INTERNAL_ERROR),
            Some(_ended) => {}
            None => self.viewer.shutdown(),
        }
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        self.viewer.read_body_bytes().await
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        self.viewer.drain_request_body().await
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        let Some(writer) = self.writer.as_mut().filter(|_writer| no_body_expected || self.viewer.is_body_done()) else {
            return self.viewer.read_body_or_idle(no_body_expected).await;
        };
        let reason = std::future::poll_fn(|cx| writer.poll_reset(cx)).await;
        let reason = reason.or_err(ErrorType::H2Error, "waiting for the viewer")?;
        Error::e_explain(ErrorType::H2Error, format!("the viewer ended the stream: {reason}"))
    }

    fn is_body_done(&mut self) -> bool {
        self.viewer.is_body_done()
    }

    fn is_body_empty(&mut self) -> bool {
        self.viewer.is_body_empty()
    }

    fn set_read_timeout(&mut self, _: Option<Duration>) {}

    fn get_read_timeout(&self) -> Option<Duration> {
        None
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.viewer.set_write_timeout(timeout);
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.viewer.get_write_timeout()
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.viewer.set_total_drain_timeout(timeout);
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.viewer.get_total_drain_timeout()
    }

    fn request_summary(&self) -> String {
        self.viewer.request_summary()
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.viewer.response_written()
    }

    fn body_bytes_sent(&self) -> usize {
        self.sent
    }

    fn body_bytes_read(&self) -> usize {
        self.viewer.body_bytes_read()
    }

    fn digest(&self) -> Option<&Digest> {
        self.viewer.digest()
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        self.viewer.digest_mut()
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.viewer.client_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.viewer.server_addr()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        self.viewer.pseudo_raw_h1_request_header()
    }

    fn enable_retry_buffering(&mut self) {
        self.viewer.enable_retry_buffering();
    }

    fn retry_buffer_truncated(&self) -> bool {
        self.viewer.retry_buffer_truncated()
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        self.viewer.get_retry_buffer()
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
