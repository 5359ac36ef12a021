//! The answer to a request without good credentials (RFC 7617, 2). It is the same for an unknown user and a wrong password.

use edgeweir_sdk::http::{self, Response, header};

/// 401 with the challenge. It is never stored.
///
/// # Errors
/// If the realm is not allowed in a header; settings are checked for that.
pub(crate) fn unauthorized(realm: &str) -> Result<Response<&'static str>, http::Error> {
    Response::builder()
        .status(401)
        .header(header::WWW_AUTHENTICATE, format!("Basic realm=\"{realm}\", charset=\"UTF-8\""))
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
        .body("name and password, please\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_challenge_is_as_rfc_7617_has_it() {
        let answer = super::unauthorized("the back room").expect("an answer");
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.headers()["www-authenticate"], r#"Basic realm="the back room", charset="UTF-8""#);
        assert_eq!(answer.headers()["cache-control"], "no-store");
    }
}
