//! The origin behind the demo's edge: it answers every request with what it got.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;

/// Answers until the runtime ends.
pub(super) async fn serve(listener: TcpListener) {
    let app = Router::new().fallback(echo).with_state(Arc::new(AtomicU64::new(0)));
    if let Err(error) = axum::serve(listener, app).await {
        tracing::error!(%error, "the demo's origin ended");
    }
}

async fn echo(State(answers): State<Arc<AtomicU64>>, request: Request) -> Response {
    let number = answers.fetch_add(1, Ordering::Relaxed) + 1;
    let mut body = format!("answer {number} of the origin, which got:\n\n{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        // Writing into a String cannot fail.
        let _infallible = writeln!(body, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    let caching = if request.uri().path().starts_with("/cached/") { "max-age=60" } else { "no-store" };
    ([(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, caching)], body).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http_body_util::BodyExt as _;

    use super::*;

    async fn answer(path: &str) -> (Option<String>, String) {
        let request = Request::builder().uri(path).header("x-user", "ada").body(Body::empty()).unwrap();
        let response = echo(State(Arc::default()), request).await;
        let caching = response.headers().get(CACHE_CONTROL).map(|value| value.to_str().unwrap().to_owned());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (caching, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn it_tells_what_it_got() {
        let (caching, body) = answer("/de/geo/x?a=1").await;
        assert_eq!(caching.as_deref(), Some("no-store"));
        assert!(body.contains("GET /de/geo/x?a=1\n") && body.contains("x-user: ada\n"), "{body}");
        assert_eq!(answer("/cached/x").await.0.as_deref(), Some("max-age=60"));
    }
}
