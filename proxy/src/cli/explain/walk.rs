//! Takes a request through the steps of the flow and notes what each found.

use std::net::SocketAddr;
use std::sync::Arc;

use edgeweir_config as model;
use http::Version;
use pingora::http::RequestHeader;

use super::outcome::{ApiKey, Behavior, Distribution, Gate, Outcome, Redirect, Refused, Request, Throttle};
use super::request::{Head, quoted};
use super::{Args, NOBODY, bindings, fetch};
use crate::fault::Fault;
use crate::flow::context::RequestCtx;
use crate::flow::gate::Wire;
use crate::flow::route::{self, Subject};
use crate::flow::{access, identity, path, throttle};
use crate::geo::GeoFacts;
use crate::runtime::clock::Clock;
use crate::runtime::connections::{Connections, TlsFacts};
use crate::runtime::head::HeadCheck;
use crate::snapshot::KeySource;
use crate::snapshot::Snapshot;

/// Explains a request.
///
/// # Errors
/// If the head cannot be made at all.
pub(super) fn explain(args: &Args, snapshot: Snapshot, clock: &dyn Clock) -> anyhow::Result<Outcome> {
    let Head { wire, parsed: original } = Head::of(args)?;
    let mut ctx = RequestCtx::new(Arc::new(snapshot), clock.stopwatch());
    let connections = Arc::new(Connections::default());
    let peer = SocketAddr::new(args.client, 50_000);
    let mut place = connections
        .admit(peer.ip(), 1, 1, Arc::default())
        .map_err(|refusal| anyhow::anyhow!("no place for a connection: {}", refusal.as_str()))?;
    let tls = args.url.https.then(|| TlsFacts {
        version: "TLSv1.3",
        cipher: "TLS_AES_128_GCM_SHA256".to_owned(),
        server_name: None,
        names: None,
        resumed: false,
        fingerprints: None,
        certificate: None,
    });
    ctx.conn = Some(place.enter(peer, peer, tls));
    ctx.version = Version::HTTP_11;
    ctx.id = identity::new_id();
    if args.country.is_some() {
        ctx.geo = Some(Arc::new(GeoFacts { country: args.country, ..GeoFacts::default() }));
    }
    let mut head = original.clone();
    let entered = enter(&mut head, &wire, &mut ctx);
    // What the gate drops, it drops before it refuses a path or a method, and nothing is forwarded after a refusal.
    let gone = original.headers.keys().filter(|name| entered.is_ok() && !head.headers.contains_key(*name));
    let dropped = gone.map(|name| name.as_str().to_owned()).collect();
    let request = request(args, &mut ctx);
    let mut outcome = Outcome {
        request,
        refused: None,
        gate: Gate { path: Some(path::normalise(original.uri.path()).path.into_owned()), dropped },
        distribution: distribution(&ctx),
        behavior: behavior(&ctx),
        redirect: None,
        api_key: api_key(&original, &ctx),
        throttles: Vec::new(),
        hooks: Vec::new(),
        cache: None,
        origin: None,
    };
    match entered.and_then(|subject| forward(subject, &head, &mut ctx, clock, &mut outcome)) {
        Ok(()) => {}
        Err(fault) => {
            if outcome.distribution.is_none() && !matches!(fault, Fault::UnknownHost | Fault::NoBehavior) {
                outcome.gate.path = None;
            }
            outcome.refused = Some(Refused {
                fault: fault.as_str(),
                status: fault.status(),
                message: fault.message(),
                why: why(fault, &original, &ctx),
            });
        }
    }
    Ok(outcome)
}

/// The look at the raw head, then gate, route and identity.
fn enter(head: &mut RequestHeader, wire: &[u8], ctx: &mut RequestCtx) -> Result<Subject, Fault> {
    let mut check = HeadCheck::done();
    check.restart(ctx.snapshot.config.gate.max_headers);
    check.feed(wire).map_err(|flaw| flaw.fault())?;
    route::enter(head, Wire { size: Some(wire.len()), raw: wire }, ctx)
}

/// Throttles, hooks, cache and origin.
fn forward(
    subject: Subject,
    head: &RequestHeader,
    ctx: &mut RequestCtx,
    clock: &dyn Clock,
    outcome: &mut Outcome,
) -> Result<(), Fault> {
    if subject == Subject::Redirect {
        outcome.redirect = access::redirect(head, ctx).map(|(status, location)| Redirect { status, location });
    }
    if subject != Subject::Behavior {
        return Ok(());
    }
    if let Some(ticket) = throttle::reserve(ctx, &head.method, &head.headers, clock, true)? {
        let standings = ticket.standings(edgeweir_limits::Nanos(clock.monotonic()));
        outcome.throttles = standings
            .map(|standing| Throttle {
                level: standing.level.as_str(),
                rate: standing.throttle.rate(),
                burst: standing.throttle.burst(),
            })
            .collect();
        ticket.refund();
    }
    if let Some(written) = written(ctx) {
        outcome.hooks = bindings::of(&ctx.snapshot.config, written.1);
    }
    outcome.cache = fetch::cache(head, ctx);
    let cacheable = outcome.cache.as_ref().is_some_and(|cache| cache.cacheable);
    outcome.origin = Some(fetch::origin(head, ctx, cacheable)?);
    Ok(())
}

/// Distribution and behavior as the configuration has them.
fn written(ctx: &RequestCtx) -> Option<(&model::Distribution, &model::Behavior)> {
    let (distribution, behavior) = ctx.route?;
    let distribution = ctx.snapshot.config.distributions.get(distribution)?;
    Some((distribution, distribution.behaviors.get(behavior)?))
}

fn request(args: &Args, ctx: &mut RequestCtx) -> Request {
    let country_why = match (args.country.is_some(), ctx.snapshot.geo.is_some()) {
        (true, _) => "given",
        (false, true) => "by the geo databases",
        (false, false) => "no geo database is configured",
    };
    let country = ctx.geo().and_then(|geo| geo.country).map(|code| code.to_string());
    let client_why = match (ctx.believed_hops, ctx.snapshot.trusts(args.client)) {
        (0, true) => "a trusted proxy, which names nobody".to_owned(),
        (0, false) if args.client.to_string() == NOBODY => "an example; choose one with --client".to_owned(),
        (0, false) => "where the connection comes from".to_owned(),
        (hops, _) => {
            let field = match ctx.snapshot.config.viewer.address_header {
                model::AddressHeader::XForwardedFor => "X-Forwarded-For",
                model::AddressHeader::Forwarded => "Forwarded",
            };
            format!("from `{field}`, because {} is trusted; hops believed: {hops}", args.client)
        }
    };
    Request {
        method: args.method.to_string(),
        url: args.url.url(),
        client: ctx.client.0.to_string(),
        client_why,
        scheme: if ctx.https { "https" } else { "http" },
        country,
        country_why,
    }
}

fn distribution(ctx: &RequestCtx) -> Option<Distribution> {
    let host = ctx.authority.host();
    // What the gate refuses before it looks for a host has none, and `*` would have that too.
    let known = || ctx.snapshot.hosts.find(host).filter(|_at| !host.is_empty());
    let number = ctx.route.map(|(distribution, _)| distribution).or_else(known)?;
    let found = ctx.snapshot.config.distributions.get(number)?;
    // The longest is the one that decides, as in the index of hosts; `*` is the shortest.
    let patterns = found.hosts.iter().filter(|pattern| pattern.matches(host));
    let pattern = patterns.max_by_key(|pattern| pattern.as_str().len()).map(|pattern| pattern.as_str().to_owned());
    Some(Distribution { name: found.name.clone(), host: host.to_owned(), pattern })
}

fn behavior(ctx: &RequestCtx) -> Option<Behavior> {
    let (distribution, written) = written(ctx)?;
    let (_, at) = ctx.route?;
    Some(Behavior {
        pattern: written.path.as_str().to_owned(),
        number: at + 1,
        of: distribution.behaviors.len(),
        conditions: Some(&written.conditions).filter(|all| !all.is_empty()).map(ToString::to_string),
        passed_over: distribution.behaviors.iter().take(at).map(described).collect(),
        methods: written.methods.clone(),
    })
}

/// The pattern, and what else is asked of a request.
fn described(behavior: &model::Behavior) -> String {
    match behavior.conditions.is_empty() {
        true => behavior.path.as_str().to_owned(),
        false => format!("{} with {}", behavior.path.as_str(), behavior.conditions),
    }
}

fn api_key(original: &RequestHeader, ctx: &RequestCtx) -> Option<ApiKey> {
    let behavior = ctx.behavior()?;
    let preflight = behavior.cors.is_some() && identity::is_preflight(&original.method, &original.headers);
    let why = match (behavior.api_key_required, preflight) {
        (false, _) => "`api_key_required` is not set",
        (true, true) => "the edge answers the CORS preflight by itself",
        (true, false) => "`api_key_required` is set",
    };
    let key = ctx.key.as_ref().map(|caller| caller.slot.meter.key_name().to_string());
    let plan = ctx.key.as_ref().map(|caller| caller.slot.meter.plan.to_string());
    Some(ApiKey { required: behavior.api_key_required && !preflight, why: why.to_owned(), key, plan })
}

fn forbidden(original: &RequestHeader, ctx: &RequestCtx) -> String {
    let unknown = "the key is unknown, disabled or over, or has no plan that opens this behavior; keys that are not in the \
                   configuration are not known here";
    match ctx.distribution().map(|found| &found.key_source) {
        Some(KeySource::Header(name)) => match original.headers.get_all(name).iter().count() {
            0 => format!("the behavior needs an API key: send `{name}`"),
            1 => unknown.to_owned(),
            _ => format!("there are two `{name}`"),
        },
        Some(KeySource::Query(name)) => {
            format!("the behavior needs an API key once in the query, as `{name}`; or {unknown}")
        }
        None => unknown.to_owned(),
    }
}

/// Why a fault came about, in the words of the configuration.
fn why(fault: Fault, original: &RequestHeader, ctx: &RequestCtx) -> String {
    let config = &ctx.snapshot.config;
    match fault {
        Fault::UnknownHost => {
            let hosts = config.distributions.iter().flat_map(|each| each.hosts.iter().map(|host| host.as_str()));
            format!("no distribution has the host `{}`; there are {}", ctx.authority.host(), quoted(hosts))
        }
        Fault::NoBehavior => {
            let found = ctx.snapshot.hosts.find(ctx.authority.host()).and_then(|at| config.distributions.get(at));
            let patterns = found.into_iter().flat_map(|each| each.behaviors.iter().map(|each| each.path.as_str()));
            format!("no pattern takes the path; there are {}", quoted(patterns))
        }
        Fault::AmbiguousPath => {
            "servers read this spelling of the path in two ways; `allow_ambiguous_paths` of the behavior would let it \
             through"
                .to_owned()
        }
        Fault::MethodNotAllowed => match written(ctx) {
            Some((_, behavior)) => {
                format!("the behavior lets {} through", quoted(behavior.methods.iter().map(String::as_str)))
            }
            None => format!("no behavior can let {} through", original.method),
        },
        Fault::GeoBlocked => {
            let geo = ctx.geo.as_ref();
            let country = geo.and_then(|geo| geo.country).map_or_else(|| "unknown".to_owned(), |code| code.to_string());
            format!("`geo_restriction` does not let {} in, whose country is {country}", ctx.client.0)
        }
        Fault::HttpsRequired => match ctx.behavior().map(|behavior| behavior.viewer_protocol.policy) {
            Some(model::ViewerProtocolPolicy::RedirectToHttps) => {
                format!("`viewer_protocol_policy` redirects, but {} of HTTP/1.0 cannot be redirected", original.method)
            }
            _ => "`viewer_protocol_policy` is `https-only`".to_owned(),
        },
        Fault::Forbidden => forbidden(original, ctx),
        Fault::SignatureMissing => {
            "the behavior has `trusted_key_groups`: only signed URLs and cookies open it (`edgeweir sign` makes them)"
                .to_owned()
        }
        Fault::SignatureInvalid => {
            let ids = ctx.behavior().and_then(|behavior| behavior.trusted.as_ref());
            let ids = ids.into_iter().flat_map(|keys| keys.0.iter().map(|(id, _)| &**id));
            format!("no trusted key signed this URL; their ids are {}", quoted(ids))
        }
        Fault::BucketRefused => {
            "a bucket is only asked for objects, with GET and HEAD unless `write` of `sigv4` is set".to_owned()
        }
        Fault::SignatureExpired => "the time in the URL or the policy is over".to_owned(),
        Fault::SignatureDenied => {
            format!("the signed policy is about another URL, a later time, or other addresses than {}", ctx.client.0)
        }
        Fault::UrlTooLong => format!("`gate.max_url` is {} bytes", config.gate.max_url),
        Fault::HeadersTooLarge => {
            format!(
                "`gate.max_headers` is {} bytes, `gate.max_header_count` {}",
                config.gate.max_headers, config.gate.max_header_count
            )
        }
        Fault::BodyTooLarge => format!("`gate.max_body` is {} bytes", config.gate.max_body),
        Fault::Throttled => "a throttle lets nobody through".to_owned(),
        _ => "the gate takes only what can be read in one way".to_owned(),
    }
}
