//! The calls about API keys and what they use: from HTTP to a [`Call`], and back.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Control;
use super::routes::{answer, problem};
use crate::state::{KeyChange, KeyError, KeyWish, StoreError};

/// Bytes of a body: a part of a file with keys.
pub(super) const MAX_BODY: usize = 8 << 20;

/// What is asked.
#[derive(Debug)]
pub enum Call {
    /// Make a key.
    Create(KeyWish),
    /// Import keys from a text in API Gateway's format.
    Import {
        /// The text.
        text: String,
        /// How.
        how: Import,
    },
    /// Keys after this id.
    List {
        /// The id.
        after: String,
    },
    /// One key.
    Get(String),
    /// Change one.
    Change(String, KeyChange),
    /// Give one another value.
    Rotate(String, Rotate),
    /// Remove one.
    Delete(String),
    /// Rows of the ledger.
    Usage(Usage),
}

/// How keys are imported.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Import {
    /// Nothing, if a line is wrong (API Gateway, `ImportApiKeys`).
    pub fail_on_warnings: bool,
    /// Nothing at all: only say what is wrong.
    pub dry_run: bool,
    /// The number of the first line, in warnings.
    pub first_line: u64,
}

/// Another value.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rotate {
    /// The value; made if there is none.
    pub value: Option<String>,
    /// How long the old one can be used still. Default: a day.
    pub overlap_seconds: Option<u64>,
}

/// Which rows of the ledger.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Usage {
    /// First day, as `2026-11-01`.
    pub from: Option<String>,
    /// Last day.
    pub to: Option<String>,
    /// Of this plan.
    pub plan: Option<String>,
    /// Of the key with this id.
    pub key: Option<String>,
    /// `json` or `csv`.
    pub format: Option<String>,
    /// The page after this.
    pub after: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct List {
    after: String,
}

/// What comes of it.
#[derive(Debug)]
pub enum Answer {
    /// Status and JSON.
    Json(u16, Value),
    /// CSV.
    Csv(String),
}

type Shared = State<Arc<dyn Control>>;

/// The routes.
pub(super) fn routes() -> Router<Arc<dyn Control>> {
    Router::new()
        .route("/v1/keys", get(list).post(create))
        .route("/v1/keys/import", post(import))
        .route("/v1/keys/{id}", get(one).patch(change).delete(delete))
        .route("/v1/keys/{id}/rotate", post(rotate))
        .route("/v1/usage", get(usage))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

/// Whether a path tells about keys: over TCP that needs the token, also to read.
pub(super) fn is_private(path: &str) -> bool {
    ["/v1/keys", "/v1/usage"].iter().any(|start| path.starts_with(start))
}

async fn list(State(control): Shared, query: Result<Query<List>, QueryRejection>) -> Response {
    match query {
        Ok(Query(List { after })) => done(control, Call::List { after }).await,
        Err(rejection) => problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    }
}

async fn create(State(control): Shared, body: Result<Bytes, BytesRejection>) -> Response {
    match read(body) {
        Ok(wish) => done(control, Call::Create(wish)).await,
        Err(response) => *response,
    }
}

async fn import(
    State(control): Shared,
    query: Result<Query<Import>, QueryRejection>,
    body: Result<String, axum::extract::rejection::StringRejection>,
) -> Response {
    match (query, body) {
        (Ok(Query(how)), Ok(text)) => done(control, Call::Import { text, how }).await,
        (Err(rejection), _) => problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
        (_, Err(rejection)) => problem(rejection.status(), &rejection.body_text()),
    }
}

async fn one(State(control): Shared, Path(id): Path<String>) -> Response {
    done(control, Call::Get(id)).await
}

async fn change(State(control): Shared, Path(id): Path<String>, body: Result<Bytes, BytesRejection>) -> Response {
    match read(body) {
        Ok(change) => done(control, Call::Change(id, change)).await,
        Err(response) => *response,
    }
}

async fn rotate(State(control): Shared, Path(id): Path<String>, body: Result<Bytes, BytesRejection>) -> Response {
    match read(body) {
        Ok(how) => done(control, Call::Rotate(id, how)).await,
        Err(response) => *response,
    }
}

async fn delete(State(control): Shared, Path(id): Path<String>) -> Response {
    done(control, Call::Delete(id)).await
}

async fn usage(State(control): Shared, query: Result<Query<Usage>, QueryRejection>) -> Response {
    match query {
        Ok(Query(query)) => done(control, Call::Usage(query)).await,
        Err(rejection) => problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    }
}

/// A body of JSON; an empty one says nothing special.
fn read<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Box<Response>> {
    let body = body.map_err(|rejection| Box::new(problem(rejection.status(), &rejection.body_text())))?;
    let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
    // What serde says names fields and places, never values of strings.
    serde_json::from_slice(body)
        .map_err(|error| Box::new(problem(StatusCode::BAD_REQUEST, &format!("the body is wrong: {error}"))))
}

async fn done(control: Arc<dyn Control>, call: Call) -> Response {
    match control.keys(call).await {
        Ok(Answer::Json(status, value)) => answer(StatusCode::from_u16(status).unwrap_or(StatusCode::OK), &value),
        Ok(Answer::Csv(text)) => ([(CONTENT_TYPE, "text/csv; charset=utf-8")], text).into_response(),
        Err(error) => {
            let status = match &error {
                KeyError::Bad(_) => StatusCode::UNPROCESSABLE_ENTITY,
                KeyError::Unknown(_) | KeyError::OfConfig(_) => StatusCode::NOT_FOUND,
                KeyError::Store(StoreError::Taken { .. } | StoreError::Changed { .. }) => StatusCode::CONFLICT,
                KeyError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            problem(status, &crate::fault::chain(&error))
        }
    }
}
