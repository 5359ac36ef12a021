//! What can be called, and the answers. Only a purge has a body.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::access::{Gate, Verdict};
use super::{Control, ReloadFailure, keys};
use crate::telemetry::metrics;

/// Bytes of a request body that are tolerated; most calls need none.
const MAX_BODY: u64 = 64 << 10;
/// Bytes of a purge's body.
const MAX_PURGE: usize = 1 << 20;
const PURGE: &str = "/v1/purge";

/// All routes; `gate` is for TCP.
pub(super) fn router(control: Arc<dyn Control>, gate: Option<Arc<Gate>>) -> Router {
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(page))
        .route("/v1/status", get(status))
        .route("/v1/reload", post(reload))
        .route(PURGE, post(purge).layer(DefaultBodyLimit::max(MAX_PURGE)))
        .route("/v1/hooks/{hook}/versions/{version}", post(deploy))
        .merge(keys::routes())
        .method_not_allowed_fallback(async || problem(StatusCode::METHOD_NOT_ALLOWED, "method not allowed"))
        .fallback(async || problem(StatusCode::NOT_FOUND, "no such call"))
        .with_state(control);
    router.layer(middleware::from_fn_with_state(gate, guard))
}

async fn guard(State(gate): State<Option<Arc<Gate>>>, request: Request, next: Next) -> Response {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let path = request.uri().path();
    // Who has which key is nobody else's business: reading it takes what changing does.
    let method = if keys::is_private(path) { &Method::POST } else { request.method() };
    let verdict = gate.map_or(Verdict::Pass, |gate| gate.check(method, request.headers()));
    let most = match path {
        PURGE => MAX_PURGE as u64,
        path if keys::is_private(path) => keys::MAX_BODY as u64,
        _ => MAX_BODY,
    };
    let mut response = match verdict {
        Verdict::Pass if length.is_some_and(|length: u64| length > most) => {
            problem(StatusCode::PAYLOAD_TOO_LARGE, "no call needs such a body")
        }
        Verdict::Pass => next.run(request).await,
        Verdict::WrongHost => problem(
            StatusCode::MISDIRECTED_REQUEST,
            "ask by IP address or as localhost, or send the admin token: other host names are refused (DNS rebinding)",
        ),
        Verdict::NoToken => {
            let mut response = problem(StatusCode::UNAUTHORIZED, "this call needs the admin token");
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"edgeweir\""));
            response
        }
        Verdict::Closed => problem(
            StatusCode::FORBIDDEN,
            "no admin token is configured: calls that change state are only taken on the Unix socket",
        ),
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn healthz() -> Response {
    text(StatusCode::OK, "ok\n")
}

async fn readyz(State(control): State<Arc<dyn Control>>) -> Response {
    let (status, word) = match control.ready() {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    };
    let concern = control.concern().map(|concern| format!("state store: {concern}\n")).unwrap_or_default();
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{word}{concern}")).into_response()
}

async fn page(State(control): State<Arc<dyn Control>>) -> Response {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], control.metrics()).into_response()
}

async fn status(State(control): State<Arc<dyn Control>>) -> Response {
    answer(StatusCode::OK, &control.status())
}

async fn reload(State(control): State<Arc<dyn Control>>) -> Response {
    told(control.reload().await)
}

async fn deploy(State(control): State<Arc<dyn Control>>, Path((hook, version)): Path<(String, String)>) -> Response {
    told(control.deploy(&hook, &version).await)
}

fn told(done: Result<Value, ReloadFailure>) -> Response {
    match done {
        Ok(report) => answer(StatusCode::OK, &report),
        Err(failure) => {
            let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            answer(status, &failure.body)
        }
    }
}

async fn purge(State(control): State<Arc<dyn Control>>, body: Result<Bytes, BytesRejection>) -> Response {
    let order = match body {
        Ok(body) => serde_json::from_slice(&body),
        Err(rejection) => return problem(rejection.status(), &rejection.body_text()),
    };
    match order {
        Err(error) => problem(StatusCode::BAD_REQUEST, &format!("the body is no purge: {error}")),
        Ok(order) => match control.purge(order).await {
            Ok(receipt) => answer(StatusCode::OK, &receipt),
            Err(bad) => problem(StatusCode::UNPROCESSABLE_ENTITY, &bad.to_string()),
        },
    }
}

fn text(status: StatusCode, body: &'static str) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}

pub(super) fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}

pub(super) fn problem(status: StatusCode, error: &str) -> Response {
    answer(status, &json!({ "error": error }))
}
