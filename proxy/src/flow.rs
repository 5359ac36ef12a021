//! The way of a request: pingora's callbacks, each a few lines that call the step it stands for.
//!
//! The order is the house's (docs/architecture.md, "The way of a request"). What a step may know is in its module; this file
//! knows pingora and the order, and decides nothing itself.

pub(crate) mod access;
mod answers;
mod attempts;
pub mod authority;
mod authorizer;
mod background;
mod blame;
mod body;
pub(crate) mod cache;
mod compress;
mod conditions;
pub mod context;
mod cors;
pub(crate) mod edits;
mod facts;
mod fill;
mod forwarded;
pub mod gate;
mod generated;
mod head;
mod headers;
pub(crate) mod hooks;
pub(crate) mod identity;
mod invalidate;
pub(crate) mod leaks;
mod levels;
mod log;
mod matching;
mod measure;
mod meet;
pub(crate) mod origin;
mod pages;
mod parts;
pub mod path;
mod places;
mod purge;
pub mod quota;
mod range;
pub(crate) mod request_body;
mod respond;
pub(crate) mod revalidate;
pub(crate) mod route;
mod signed;
mod silence;
pub(crate) mod throttle;
mod told;
mod viewer;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use edgeweir_cache::storage::MokaHit;
use edgeweir_config::Stage;
use http::header::TRANSFER_ENCODING;
use http::{Method, StatusCode, Version};
use pingora::cache::key::HashBinary;
use pingora::cache::storage::HitHandler;
use pingora::cache::{CacheKey, CacheMeta, CachePhase, ForcedFreshness, RespCacheable};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::protocols::Digest;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, RangeType, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result};

use self::{context::RequestCtx, route::Subject};
use crate::edge::Core;
use crate::fault::Fault;
use crate::runtime::turn;

/// pingora's application: what it calls for each request.
pub struct Flow {
    /// What lives as long as the process.
    pub core: Arc<Core>,
}

/// The error that carries a fault through pingora to `fail_to_proxy`.
fn stop(ctx: &mut RequestCtx, fault: Fault) -> Box<Error> {
    ctx.fault = Some(fault);
    let mut error = Error::new(ErrorType::HTTPStatus(fault.status()));
    error.set_retry(false);
    error
}

impl Flow {
    /// Steps 2 to 6: gate, route, identity, throttle, viewer-request. Returns whether the viewer has its answer.
    async fn admit(&self, session: &mut Session, ctx: &mut RequestCtx) -> Result<bool, Fault> {
        meet::begins(session, ctx);
        if ctx.conn.is_none() && pages::begin(session, ctx) {
            return Ok(false);
        }
        if let Some(answer) = self.core.acme.challenges().answer(session.req_header().uri.path()) {
            Box::pin(respond::challenge(session, ctx, answer)).await.map_err(|_error| Fault::ViewerGone)?;
            return Ok(true);
        }
        let http1 = ctx.version != Version::HTTP_2;
        // The head as it came is only looked at where pingora's reading of it can hide something.
        let coded = http1 && session.req_header().headers.contains_key(TRANSFER_ENCODING);
        let raw = if coded { session.to_h1_raw() } else { Bytes::new() };
        let size = ctx.conn.as_ref().filter(|_conn| http1).map(|conn| conn.head_size());
        let subject = route::enter(session.req_header_mut(), gate::Wire { size, raw: &raw }, ctx);
        if ctx.closes {
            session.set_keepalive(None);
        }
        match subject.map_err(|fault| throttle::without_key(ctx, fault, session.req_header(), &*self.core.clock))? {
            Subject::Behavior => {}
            Subject::Cache => {
                Box::pin(purge::serve(&self.core, session, ctx)).await.map_err(|_error| Fault::ViewerGone)?;
                return Ok(true);
            }
            own => {
                Box::pin(respond::by_itself(session, ctx, own)).await.map_err(|_error| Fault::ViewerGone)?;
                return Ok(true);
            }
        }
        let head = session.req_header();
        let keep = throttle::may_be_refunded(ctx);
        let reserved = throttle::reserve(ctx, &head.method, &head.headers, &*self.core.clock, keep);
        let mut ticket = match reserved {
            Ok(ticket) => ticket,
            Err(fault) => {
                quota::throttled(ctx).await;
                return Err(fault);
            }
        };
        if ctx.behavior().is_some_and(|behavior| behavior.authorizer.is_some()) {
            ticket = Box::pin(self.authorize(session, ctx, ticket)).await?;
        }
        if ctx.key.is_some()
            && let Err(fault) = quota::reserve(ctx).await
        {
            // A refusal by the quota takes nothing from the throttles.
            if let Some(ticket) = ticket {
                ticket.refund();
            }
            return Err(fault);
        }
        // Boxed: most requests meet no hook, and need not carry room for its call.
        let outcome = match ctx.has_hooks_at(Stage::ViewerRequest) {
            true => Box::pin(self.viewer_request(session, ctx)).await,
            false => hooks::Outcome::Next,
        };
        match outcome {
            hooks::Outcome::Next => {}
            hooks::Outcome::Respond(response) => {
                ctx.answered_by_hook = true;
                Box::pin(respond::generated(session, ctx, response)).await.map_err(|_error| Fault::ViewerGone)?;
                return Ok(true);
            }
            hooks::Outcome::Fail(fault) => {
                // Only what is the edge's own fault costs the viewer nothing: who makes a hook fail pays for it.
                if let (Some(ticket), Fault::HookOverloaded | Fault::BodyMemory) = (ticket, fault) {
                    ticket.refund();
                }
                return Err(fault);
            }
        }
        if let Some(ticket) = ticket {
            ticket.commit();
        }
        if ctx.cost.is_some() || ctx.hook_key.is_some() {
            let head = session.req_header();
            let named = ctx.hook_key.is_some();
            match throttle::charge(ctx, &head.method, &head.headers, &*self.core.clock) {
                Ok(true) => quota::reserve(ctx).await?,
                Ok(false) => {}
                Err(fault) => {
                    if named {
                        quota::throttled(ctx).await;
                    }
                    return Err(fault);
                }
            }
        }
        Ok(false)
    }

    /// Step 6: viewer-request hooks, with the body if they want it.
    async fn viewer_request(&self, session: &mut Session, ctx: &mut RequestCtx) -> hooks::Outcome {
        if let Err(fault) = request_body::hold(&self.core, session, ctx, Stage::ViewerRequest).await {
            return hooks::Outcome::Fail(fault);
        }
        match hooks::viewer_request(session.req_header_mut(), ctx).await {
            hooks::Outcome::Next => request_body::settle(session, ctx, &*self.core.clock).await.into(),
            decided => decided,
        }
    }

    /// Step 8: origin-request hooks, on what the origin would get. Returns whether it is asked.
    async fn origin_request(&self, session: &mut Session, ctx: &mut RequestCtx) -> Result<bool> {
        let mut head = session.req_header().clone();
        let outcome = match origin::prepare(&mut head, ctx, ctx.keyed) {
            Ok(()) => match request_body::hold(&self.core, session, ctx, Stage::OriginRequest).await {
                Ok(()) => hooks::origin_request(&mut head, ctx).await,
                Err(fault) => hooks::Outcome::Fail(fault),
            },
            Err(fault) => hooks::Outcome::Fail(fault),
        };
        let outcome = match outcome {
            hooks::Outcome::Next => request_body::settle(session, ctx, &*self.core.clock).await.into(),
            decided => decided,
        };
        match outcome {
            hooks::Outcome::Next => Ok(true),
            hooks::Outcome::Respond(response) => {
                ctx.origin_times = (None, None);
                generated::serve(&self.core, session, ctx, response, Stage::OriginRequest).await?;
                Ok(false)
            }
            hooks::Outcome::Fail(fault) => {
                respond::fault(session, ctx, fault).await?;
                Ok(false)
            }
        }
    }
}

#[async_trait]
impl ProxyHttp for Flow {
    // Boxed: pingora moves it about.
    type CTX = Box<RequestCtx>;

    fn new_ctx(&self) -> Box<RequestCtx> {
        let mut ctx = Box::new(RequestCtx::new(self.core.snapshot.load_full(), self.core.clock.stopwatch()));
        ctx.notes = self.core.observer.as_ref().map(|_observer| Vec::new());
        ctx
    }

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {
        // None: pingora's default is a compression that is off, made anew and asked at each step of each request.
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Box<RequestCtx>) -> Result<bool> {
        if session.subrequest_ctx.is_some() {
            return Ok(!background::begin(&self.core, session, ctx));
        }
        match self.admit(session, ctx).await {
            Ok(answered) => Ok(answered),
            Err(fault) => {
                Box::pin(respond::fault(session, ctx, fault)).await?;
                Ok(true)
            }
        }
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Box<RequestCtx>,
    ) -> Result<()> {
        if end_of_stream {
            // Until then it is the viewer's turn, whose silence has a deadline of its own.
            ctx.incomplete = false;
            silence::begins(ctx);
        }
        if let Some(held) = request_body::put_back(session, ctx) {
            // It was counted when it came.
            *body = Some(held).filter(|held| !held.is_empty());
        } else if let Some(body) = body {
            request_body::streams(ctx);
            silence::viewer_speaks(ctx);
            request_body::comes(session, ctx, body.len(), &*self.core.clock).map_err(|fault| stop(ctx, fault))?;
        }
        Ok(())
    }

    fn request_cache_filter(&self, session: &mut Session, ctx: &mut Box<RequestCtx>) -> Result<()> {
        cache::enable(session, &self.core.cache, ctx);
        Ok(())
    }

    fn cache_key_callback(&self, session: &Session, ctx: &mut Box<RequestCtx>) -> Result<CacheKey> {
        cache::key(session, ctx)
    }

    fn cache_vary_filter(
        &self,
        meta: &CacheMeta,
        ctx: &mut Box<RequestCtx>,
        req: &RequestHeader,
    ) -> Option<HashBinary> {
        cache::variance(meta.headers(), &req.headers, ctx)
    }

    async fn proxy_upstream_filter(&self, session: &mut Session, ctx: &mut Box<RequestCtx>) -> Result<bool> {
        if ctx.keyed && cache::only_if_cached(session) {
            Box::pin(respond::fault(session, ctx, Fault::NotStored)).await?;
            return Ok(false);
        }
        cache::fetch_begins(self.core.cache.storage, session, ctx);
        if ctx.expects {
            // The request is let through, so the viewer may send its body: not every origin says so.
            Box::pin(request_body::let_it_come(session, ctx)).await.map_err(|fault| stop(ctx, fault))?;
        }
        if !ctx.has_hooks_at(Stage::OriginRequest) {
            return Ok(true);
        }
        Box::pin(self.origin_request(session, ctx)).await
    }

    async fn upstream_peer(&self, session: &mut Session, ctx: &mut Box<RequestCtx>) -> Result<Box<HttpPeer>> {
        attempts::peer(&self.core, session, ctx).await
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _peer: &HttpPeer,
        ctx: &mut Box<RequestCtx>,
        error: Box<Error>,
    ) -> Box<Error> {
        attempts::not_connected(session, ctx, error)
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        _reused: bool,
        _peer: &HttpPeer,
        _fd: std::os::unix::io::RawFd,
        digest: Option<&Digest>,
        ctx: &mut Box<RequestCtx>,
    ) -> Result<()> {
        attempts::connected(digest, ctx)
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        req: &mut RequestHeader,
        ctx: &mut Box<RequestCtx>,
    ) -> Result<()> {
        let uploads = request_body::is_sent(session, ctx);
        // What comes before a switch of protocols is whole with its head.
        ctx.incomplete = uploads && !session.is_upgrade_req();
        match uploads {
            true => silence::uploads(ctx),
            false => silence::begins(ctx),
        }
        origin::prepare(req, ctx, ctx.keyed)
            .and_then(|()| origin::finish(req, ctx))
            .map_err(|fault| stop(ctx, fault))?;
        ctx.attempts.asks_head = req.method == Method::HEAD;
        request_body::play(session, ctx, req);
        // Requests go out together, as answers do (`runtime::conn`).
        turn::give_way().await;
        Ok(())
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut Box<RequestCtx>,
        client_reused: bool,
    ) -> Box<Error> {
        request_body::put_back(session, ctx);
        attempts::broke_off(session, ctx, error, client_reused)
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        ctx: &mut Box<RequestCtx>,
    ) -> Result<()> {
        if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
            return viewer::interim(session, head, ctx).map_err(|fault| stop(ctx, fault));
        }
        if let Some(conn) = ctx.conn.as_ref().filter(|_conn| ctx.swept) {
            conn.origin_restarts();
        }
        silence::answered(ctx, head.status == StatusCode::SWITCHING_PROTOCOLS);
        viewer::switches(session, head).and_then(|()| viewer::framing(head)).map_err(|fault| stop(ctx, fault))?;
        if let Some(origin) = ctx.origin() {
            ctx.attempts.answered(origin, head.status);
        }
        if attempts::is_passed_on(session, head.status, ctx) {
            return Err(attempts::pass_on(head));
        }
        attempts::head_came(session, head, ctx);
        request_body::release(ctx);
        ctx.origin_times.1 = Some(self.core.clock.stopwatch());
        ctx.origin_status = Some(head.status.as_u16());
        if let Some(origin) = ctx.origin() {
            origin.answered();
        }
        viewer::clean(session, head, ctx);
        if head.status == StatusCode::NOT_MODIFIED && session.cache.enabled() {
            cache::take_tags(head, ctx);
        }
        revalidate::take(self.core.cache.storage, session, head, ctx).map_err(|fault| stop(ctx, fault))?;
        invalidate::after(self.core.cache.storage, session.req_header(), head, ctx);
        if ctx.keyed && !session.cache.enabled() && session.req_header().method == Method::HEAD {
            head::freshen(self.core.cache.storage, session, head, ctx).await;
        }
        // Not on a 304: its head only refreshes what the hook has already seen.
        if head.status == StatusCode::NOT_MODIFIED || head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(());
        }
        if ctx.has_hooks_at(Stage::OriginResponse) {
            let empty = body::is_empty(head, ctx);
            Box::pin(hooks::origin_response(head, ctx)).await.map_err(|fault| stop(ctx, fault))?;
            body::at_origin(session, head, ctx, empty);
            body::detour(ctx)?;
        }
        match session.cache.enabled() {
            true => cache::take_tags(head, ctx),
            false => cache::hide_tags(head, ctx),
        }
        Ok(())
    }

    fn upstream_response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Box<RequestCtx>,
    ) -> Result<Option<Duration>> {
        if *ctx.viewer_left.get_mut() {
            fill::without_viewer(session, ctx)?;
        }
        if end_of_stream {
            silence::ends(ctx);
            attempts::rests(session, ctx);
        } else if let (true, Some(conn)) = (ctx.swept, &ctx.conn) {
            conn.origin_restarts();
        }
        if let Some(made) = &mut ctx.origin_body {
            // Once, in place of the first part; nothing in place of the others.
            *body = made.take();
        }
        measure::passes(&self.core.cache, session, body.as_ref(), end_of_stream, ctx);
        Ok(None)
    }

    fn response_cache_filter(
        &self,
        session: &Session,
        head: &ResponseHeader,
        ctx: &mut Box<RequestCtx>,
    ) -> Result<RespCacheable> {
        Ok(cache::storable(session, head, ctx, &self.core, std::time::SystemTime::now()))
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        ctx: &mut Box<RequestCtx>,
    ) -> Result<()> {
        if head.status.is_informational() {
            return Ok(());
        }
        if let (Some(conn), false) = (ctx.own_conn(), session.as_mut().is_body_done()) {
            // It comes before the end of the request: a viewer that is still sending must get to read it.
            conn.ending.linger();
        }
        let answered = match viewer::finish(session, head, ctx).await {
            Ok(()) => body::detour(ctx).map(|()| fill::begins(session, ctx)),
            // pingora would answer a failed hit with a bare 500: the stored answer is replaced on its way.
            Err(fault) if session.cache.enabled() && session.cache.phase() == CachePhase::Hit => {
                respond::replace(session, head, ctx, fault).map_err(|_error| stop(ctx, fault))
            }
            Err(fault) => Err(stop(ctx, fault)),
        };
        if answered.is_ok() {
            places::head(&session.req_header().method, head, ctx);
        }
        answered
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Box<RequestCtx>,
    ) -> Result<Option<Duration>> {
        if ctx.fills {
            fill::goes_on(session);
        }
        if let Some(replacement) = &mut ctx.replacement {
            // Once, in place of the first part; nothing in place of the others.
            *body = replacement.take();
        } else if ctx.viewer_has || session.req_header().method == Method::HEAD {
            // The origin was asked for the whole. What is then not stored pingora sends, which HTTP/2 does not prevent.
            *body = None;
        }
        places::part(body.as_ref(), end_of_stream, ctx);
        // While the viewer still sends, nobody waits for its next request; nor where the connection closes.
        if end_of_stream
            && session.is_body_done()
            && session.get_keepalive().is_some()
            && let Some(conn) = ctx.own_conn()
        {
            conn.ending.last();
        }
        Ok(None)
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut Box<RequestCtx>) -> FailToProxy {
        request_body::put_back(session, ctx);
        // pingora closes the connection after this, so it is said.
        session.set_keepalive(None);
        if let Some((response, stage)) = ctx.generated.take() {
            let status = response.status.as_u16();
            // If this fails, the viewer is gone.
            let _gone = Box::pin(generated::serve(&self.core, session, ctx, response, stage)).await;
            return FailToProxy { error_code: status, can_reuse_downstream: false };
        }
        if session.was_upgraded() && blame::is_late(ctx) {
            // Neither side had anything to say: that is an end as good as any.
            ctx.idled = true;
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        }
        let fault = blame::of_body(ctx, error).unwrap_or_else(|| blame::of(ctx, error));
        silence::ends(ctx);
        if matches!(fault, Fault::Internal) {
            tracing::error!(request_id = ctx.id(), %error, "a request failed inside the edge");
        } else {
            tracing::debug!(request_id = ctx.id(), fault = fault.as_str(), %error, "a request failed");
        }
        // If this fails too, the viewer is gone.
        let _gone = Box::pin(respond::fault(session, ctx, fault)).await;
        FailToProxy { error_code: fault.status(), can_reuse_downstream: false }
    }

    async fn cache_hit_filter(
        &self,
        session: &mut Session,
        meta: &CacheMeta,
        hit: &mut HitHandler,
        fresh: bool,
        ctx: &mut Box<RequestCtx>,
    ) -> Result<Option<ForcedFreshness>> {
        let Some(hit) = hit.as_any().downcast_ref::<MokaHit>() else { return Ok(None) };
        cache::found(hit, fresh, ctx);
        if let (true, Some(conn)) = (hit.is_in_flight(), &ctx.conn) {
            // More may come much later: what is there is sent at once.
            conn.send_at_once();
        }
        Ok(cache::forced(session, meta, hit, fresh, ctx, &*self.core.clock))
    }

    fn should_serve_stale(&self, session: &mut Session, ctx: &mut Box<RequestCtx>, error: Option<&Error>) -> bool {
        match error {
            // Another origin may have a better answer than a stale one.
            Some(error)
                if revalidate::status_of(error).is_some_and(|status| attempts::is_passed_on(session, status, ctx)) =>
            {
                false
            }
            Some(error) => revalidate::covers(ctx, error, &*self.core.clock),
            // Who does not fetch it itself has nothing to leave.
            None if !session.cache.is_cache_lock_writer() => true,
            None => background::prepare(&self.core, session, ctx),
        }
    }

    fn cache_not_modified_filter(
        &self,
        session: &Session,
        head: &ResponseHeader,
        ctx: &mut Box<RequestCtx>,
    ) -> Result<bool> {
        ctx.viewer_has = conditions::viewer_has(session.req_header(), head);
        Ok(ctx.viewer_has)
    }

    fn range_header_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        ctx: &mut Box<RequestCtx>,
    ) -> RangeType {
        // Ranges are cut from the plain form.
        if ctx.coded { RangeType::None } else { range::cut(session.req_header(), head) }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Box<RequestCtx>) {
        silence::ends(ctx);
        let left = *ctx.viewer_left.get_mut();
        // Of one whose answer comes from the cache, or goes there, nobody was told before.
        let error = error.filter(|_error| !ctx.idled);
        let untold = match error.filter(|error| *error.esource() == ErrorSource::Downstream) {
            Some(error) => Some(Fault::of(error)),
            None => left.then_some(Fault::ViewerGone),
        };
        ctx.fault = ctx.fault.or(untold);
        let by_viewer = matches!(ctx.fault, Some(Fault::ViewerGone | Fault::ViewerTimeout));
        let gone = ctx.own_conn().is_some_and(|conn| conn.is_gone());
        let aborted = (error.is_some() && by_viewer) || gone || left;
        if let (Some(conn), None) = (ctx.own_conn(), error) {
            conn.ending.whole();
        }
        // Or what came early would be the next request, and nobody would have looked at its bytes.
        session.set_pipelining_enabled(false);
        log::finished(&self.core, session, ctx, aborted);
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        ctx: &Box<RequestCtx>,
        error: &Error,
        context: ProxyWarnLogContext,
    ) -> bool {
        fill::told(ctx, context);
        tracing::debug!(request_id = ctx.id(), %error, "an attempt failed");
        true
    }

    fn suppress_error_log(&self, _session: &Session, _ctx: &Box<RequestCtx>, _error: &Error) -> bool {
        // `fail_to_proxy` and the access log say it once, with its name.
        true
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// What a step of a request may not reach: it reads the snapshot, and the rim opens files and sockets.
    const FORBIDDEN: [&str; 6] =
        ["std::fs", "tokio::fs", "tokio::net::Tcp", "std::env", "crate::admin", "crate::runtime::accept"];

    #[test]
    fn steps_open_no_file_and_no_socket() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/flow");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            for word in FORBIDDEN {
                assert!(!text.contains(word), "{} uses {word}", path.display());
            }
            seen += 1;
        }
        assert!(seen > 10, "the steps are looked at: {seen}");
    }
}
