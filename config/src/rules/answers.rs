//! Gateway responses and CORS: types that there are, fields that may be set, and no open door.

use toml::Spanned;

use crate::decode::{List, Named, Opt, Text};
use crate::model::ResponseType;
use crate::report::{Problem, Report};
use crate::schema::{Cors, File, GatewayResponse};
use crate::suggest;
use crate::units::{Part, check_header_value, parse_header_name};

/// API Gateway's types for answers that this edge never gives.
const OTHERS: [&str; 5] =
    ["BAD_REQUEST_BODY", "BAD_REQUEST_PARAMETERS", "UNSUPPORTED_MEDIA_TYPE", "WAF_FILTERED", "WAF_FILTERED_CUSTOM"];
/// Fields that are the edge's: framing, and what it says of itself.
const FIXED: [&str; 8] = [
    "connection",
    "content-length",
    "content-type",
    "keep-alive",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
];

pub(super) fn check(file: &File, out: &mut Report) {
    check_responses(&file.gateway_responses, out);
    let distributions = file.distributions.value().into_iter().flat_map(|named| named.iter());
    for (_, distribution) in distributions {
        check_responses(&distribution.gateway_responses, out);
        check_cors(&distribution.cors, out);
        let behaviors = distribution.behaviors.value().map_or(&[][..], |list| list.items.as_slice());
        for behavior in behaviors {
            check_cors(&behavior.get_ref().cors, out);
        }
    }
}

fn check_responses(written: &Opt<Named<GatewayResponse>>, out: &mut Report) {
    let Some(named) = written.value() else { return };
    for name in named.names() {
        let text = name.get_ref().as_str();
        let known = ResponseType::ALL.map(|(name, _)| name);
        if known.contains(&text) {
            continue;
        }
        let problem = if OTHERS.contains(&text) {
            Problem::error("no-effect", name.span(), format!("this edge never answers with `{text}`"))
                .help("remove it; `DEFAULT_4XX` and `DEFAULT_5XX` stand for all answers without a setting of their own")
        } else {
            Problem::error("unknown-name", name.span(), format!("unknown gateway response type `{text}`"))
                .maybe_help(suggest::did_you_mean(text, known, "types"))
        };
        out.push(problem);
    }
    for (name, response) in named.iter() {
        check_response(name, response, out);
    }
}

fn check_response(name: &Spanned<String>, response: &GatewayResponse, out: &mut Report) {
    let nothing = [response.status.is_absent(), response.headers.is_absent(), response.body.is_absent()];
    if nothing == [true; 3] {
        out.push(
            Problem::error("missing-key", name.span(), "this gateway response changes nothing")
                .help("add `status`, `headers` or `body`"),
        );
    }
    if let Some(kind) = response.content_type.given() {
        if response.body.is_absent() {
            let message = "`content_type` does nothing without `body`";
            out.push(Problem::error("no-effect", kind.span(), message).help("add `body`, or remove it"));
        }
        if let Err(error) = check_header_value(&kind.get_ref().0) {
            out.push(Problem::error("bad-value", kind.span(), error.to_string()));
        }
    }
    let Some(headers) = response.headers.value() else { return };
    for (name, template) in &headers.0 {
        match parse_header_name(name.get_ref()) {
            Err(error) => {
                out.push(Problem::error("bad-value", name.span(), error.to_string()).maybe_help(error.help()));
            }
            Ok(lower) if FIXED.contains(&lower.as_str()) => {
                let message = format!("`{lower}` is the edge's own");
                out.push(Problem::error("bad-value", name.span(), message));
            }
            Ok(_) => {}
        }
        let texts = template.iter().flat_map(|template| &template.0.parts);
        for part in texts {
            if let Part::Text(text) = part
                && let Err(error) = check_header_value(text.trim())
            {
                out.push(Problem::error("bad-value", name.span(), error.to_string()));
            }
        }
    }
}

pub(super) fn check_cors(written: &Opt<Cors>, out: &mut Report) {
    let Some(given) = written.given() else { return };
    let cors = given.get_ref();
    let star = |list: &Opt<List<Text>>| {
        list.value().and_then(|list| list.items.iter().find(|text| text.get_ref().0 == "*")).map(Spanned::span)
    };
    if let Some(origins) = cors.origins.given() {
        let list = origins.get_ref();
        if list.items.is_empty() && !list.broken {
            out.push(Problem::error("empty-list", origins.span(), "without origins no page may use it"));
        }
        let all = list.items.iter().find(|origin| origin.get_ref().0.matches_all());
        if let (Some(all), Some(true)) = (all, cors.credentials.value()) {
            // Fetch, "CORS protocol and credentials": browsers refuse `*` there, and to repeat each origin would let every
            // page act for whoever looks at it.
            out.push(
                Problem::error(
                    "cors-credentials",
                    all.span(),
                    "`*` with `credentials` would let every page act as its viewer",
                )
                .help("list the origins, or remove `credentials`"),
            );
        }
    }
    if let Some(true) = cors.credentials.value() {
        for (key, span) in [("headers", star(&cors.headers)), ("expose", star(&cors.expose))] {
            if let Some(span) = span {
                let message = format!("with `credentials` browsers read `*` in `{key}` as a name");
                out.push(Problem::error("cors-credentials", span, message).help("list the names"));
            }
        }
    }
    for list in [&cors.headers, &cors.expose] {
        for text in list.value().into_iter().flat_map(|list| &list.items) {
            if text.get_ref().0 != "*"
                && let Err(error) = parse_header_name(&text.get_ref().0)
            {
                out.push(Problem::error("bad-value", text.span(), error.to_string()).maybe_help(error.help()));
            }
        }
    }
}
