//! Distributions and their behaviors.

use std::path::Path;
use std::time::Duration;

use toml::Spanned;

use super::answers;
use super::keys::{indices, throttle};
use super::limits::limits;
use super::names::Names;
use super::policies::Policies;
use super::{errors, headers, jwks, key_value, routing, secret, signed, viewer};
use crate::decode::Field;
use crate::model::{
    Authorizer, Behavior, Binding, CachePolicy, Distribution, FailurePolicy, HookId, IdentitySource, KeySource,
    OriginId, Place, SecretSource, Stage, Target, Throttle, UsagePlanId,
};
use crate::report::Report;
use crate::schema::{self, File, RequestBody};
use crate::units::PathPattern;

/// CloudFront's largest set of methods.
const DEFAULT_METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"];

/// What the behaviors of a file have in common.
struct Scope<'a> {
    file: &'a File,
    names: &'a Names,
    policies: Policies<'a>,
    base: &'a Path,
    /// Of fields with facts about viewers.
    prefix: &'a str,
}

/// All distributions, and the cache policies that they or the file name.
pub(super) fn resolve(
    file: &File,
    names: &Names,
    base: &Path,
    out: &mut Report,
) -> (Vec<Distribution>, Vec<CachePolicy>) {
    let mut scope = Scope { file, names, policies: Policies::new(names), base, prefix: viewer::prefix(file) };
    let written = file.distributions.value().into_iter().flat_map(|distributions| distributions.iter());
    let distributions = written.map(|(name, written)| distribution(name.get_ref(), written, &mut scope, out)).collect();
    (distributions, scope.policies.finish(file))
}

fn distribution(name: &str, written: &schema::Distribution, scope: &mut Scope<'_>, out: &mut Report) -> Distribution {
    let hosts = written.hosts.value().map_or(&[][..], |list| list.items.as_slice());
    let origin = written.origin.given().map(|name| scope.names.target(name, out));
    let default = [Spanned::new(0..0, schema::Behavior::default())];
    let behaviors = match written.behaviors.value() {
        Some(list) if !list.items.is_empty() => list.items.as_slice(),
        _ => &default,
    };
    let headers = headers::find(&written.response_headers_policy, scope.names, out);
    Distribution {
        name: name.to_owned(),
        hosts: hosts.iter().map(|host| host.get_ref().0.clone()).collect(),
        behaviors: behaviors
            .iter()
            .filter_map(|b| behavior(b.get_ref(), (origin, written, headers), scope, out))
            .collect(),
        throttle: throttle(written.throttle.value()),
        limits: limits(&written.concurrency, written.per_address.value(), written.per_caller.value()),
        gateway_responses: answers::responses(written.gateway_responses.value()),
        error_responses: errors::responses(written),
        key_source: match (written.api_key_query.value(), written.api_key_header.value()) {
            (Some(parameter), _) => KeySource::Query(parameter.0.clone()),
            (None, Some(header)) => KeySource::Header(header.0.clone()),
            (None, None) => KeySource::Header("x-api-key".to_owned()),
        },
        default_root_object: written.default_root_object.value().map(|text| text.0.clone()),
    }
}

fn behavior(
    written: &schema::Behavior,
    (origin, distribution, headers): (Option<Target>, &schema::Distribution, Option<&str>),
    scope: &mut Scope<'_>,
    out: &mut Report,
) -> Option<Behavior> {
    let own_origin = written.origin.given().map(|name| scope.names.target(name, out));
    let cache_policy = match &written.cache_policy {
        // The report speaks of it already.
        Field::Broken => scope.policies.find(None, out),
        policy => scope.policies.find(policy.given(), out),
    };
    let hooks = hooks(written, scope, out);
    let authorizer = written.authorizer.given().and_then(|written| authorizer(written, scope, out));
    let (response_headers_policy, cors) =
        headers::of_behavior(written, (distribution, headers), scope.file, scope.names, out);
    let path = match written.path.value() {
        Some(path) => path.0.clone(),
        None => PathPattern::parse("*").ok()?,
    };
    Some(Behavior {
        path,
        conditions: routing::conditions(written.matches.value()),
        viewer_protocol: routing::viewer_protocol(written, distribution),
        geo_restriction: routing::geo_restriction(
            written.geo_restriction.value().or(distribution.geo_restriction.value()),
        ),
        methods: match written.methods.value() {
            Some(list) => list.items.iter().map(|method| method.get_ref().0.clone()).collect(),
            None => DEFAULT_METHODS.map(str::to_owned).to_vec(),
        },
        // Without any, `rules` has reported it.
        origin: own_origin.or(origin).unwrap_or(Target::Origin(OriginId(0))),
        cache_policy,
        authorizer,
        trusted_key_groups: signed::trusted(written, scope.names, out),
        response_headers_policy,
        cors,
        hooks,
        throttle: throttle(written.throttle.value()),
        method_throttles: method_throttles(written),
        limits: limits(&written.concurrency, written.per_address.value(), written.per_caller.value()),
        api_key_required: written.api_key_required.value().copied().unwrap_or(false),
        usage_plans: written
            .usage_plans
            .value()
            .map(|list| indices(Some(list), &scope.names.plans, out).into_iter().map(UsagePlanId).collect()),
        raw_path: written.raw_path.value().copied().unwrap_or(false),
        allow_ambiguous_paths: written.allow_ambiguous_paths.value().copied().unwrap_or(false),
        idle_timeout: written.idle_timeout.value().map(|time| time.0),
        viewer_headers: viewer::fields(written.viewer_headers.value(), scope.prefix),
    })
}

fn method_throttles(written: &schema::Behavior) -> Vec<(String, Throttle)> {
    let named = written.method_throttles.value().into_iter().flat_map(|named| named.iter());
    named.filter_map(|(name, written)| Some((name.get_ref().clone(), throttle(Some(written))?))).collect()
}

fn hooks(written: &schema::Behavior, scope: &Scope<'_>, out: &mut Report) -> [Vec<Binding>; 4] {
    let stages = written.hooks.value().map(schema::StageHooks::stages).unwrap_or_default();
    let mut stage = Stage::ALL.into_iter();
    stages.map(|bindings| {
        let stage = stage.next().unwrap_or(Stage::ViewerResponse);
        let items = bindings.map_or(&[][..], |list| list.items.as_slice());
        items.iter().filter_map(|written| binding(written, stage, scope, out)).collect()
    })
}

/// API Gateway's default ("authorizerResultTtlInSeconds").
const DEFAULT_TTL: Duration = Duration::from_mins(5);

fn authorizer(written: &Spanned<schema::Authorizer>, scope: &Scope<'_>, out: &mut Report) -> Option<Authorizer> {
    let binding = binding(&schema::Authorizer::as_binding(written), Stage::Authorizer, scope, out)?;
    let written = written.get_ref();
    let headers = written.headers.value().into_iter().flat_map(|named| named.iter());
    Some(Authorizer {
        binding,
        identity: written.identity.value().map_or_else(
            || vec![IdentitySource::Header("authorization".to_owned())],
            |list| list.items.iter().map(|source| source.get_ref().0.clone()).collect(),
        ),
        identity_validation: written.identity_validation.value().map(|text| text.0.clone()),
        ttl: written.ttl.value().map_or(DEFAULT_TTL, |time| time.0),
        headers: headers.map(|(name, said)| (name.get_ref().to_ascii_lowercase(), said.0.clone())).collect(),
        share_cache: written.share_cache.value().copied().unwrap_or(false),
        challenge: written.challenge.value().map_or_else(|| "Bearer".to_owned(), |text| text.0.clone()),
    })
}

/// What a hook may read of the request's body by default, in bytes ("Quotas on Lambda@Edge": 40 KB and 1 MB).
fn default_body(stage: Stage) -> usize {
    if stage == Stage::ViewerRequest { 40 << 10 } else { 1 << 20 }
}

fn binding(binding: &Spanned<schema::Binding>, stage: Stage, scope: &Scope<'_>, out: &mut Report) -> Option<Binding> {
    let written = binding.get_ref();
    let hook = HookId(scope.names.hooks.find(written.hook.given()?, &[], out));
    let from = |secrets: &[(String, SecretSource)]| -> Vec<(String, SecretSource)> {
        secrets.iter().map(|(name, source)| (name.clone(), secret(source, scope.base))).collect()
    };
    let (settings, settings_secrets, place) = match written.settings.given() {
        Some(given) => {
            let settings = given.get_ref();
            let place = Place { binding: binding.span(), whole: given.span(), settings: settings.places.clone() };
            (settings.json.clone(), from(&settings.secrets), place)
        }
        None => (
            "{}".to_owned(),
            Vec::new(),
            Place { binding: binding.span(), whole: binding.span(), settings: Vec::new() },
        ),
    };
    // A hook can choose an origin or a group by name.
    for kind in [&scope.names.origins, &scope.names.groups] {
        kind.use_all(|name| settings.contains(&format!("\"{name}\"")));
    }
    let secrets = written.secrets.value().map(|secrets| {
        let sources = secrets.0.iter().map(|(name, source)| (name.get_ref().clone(), source.0.clone()));
        from(&sources.collect::<Vec<_>>())
    });
    Some(Binding {
        hook,
        settings,
        settings_secrets,
        place,
        key_value_stores: key_value::granted(written, scope.names, out),
        jwks: jwks::granted(written, scope.names, out),
        secrets,
        request_body: written.request_body.value().map(|body| match *body {
            RequestBody::Switch(true) => default_body(stage),
            RequestBody::Switch(false) => 0,
            RequestBody::Bytes(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
        }),
        fetch: written
            .fetch
            .value()
            .map(|list| list.items.iter().map(|name| OriginId(scope.names.origin(name, out))).collect()),
        fetch_max: written.fetch_max.value().map_or(1 << 20, |size| size.as_usize()),
        dynamic_origins: written
            .dynamic_origins
            .value()
            .map(|list| list.items.iter().map(|host| host.get_ref().0.clone()).collect())
            .unwrap_or_default(),
        on_failure: written.on_failure.value().copied().unwrap_or(FailurePolicy::Closed),
        on_errors: written.on_errors.value().copied().unwrap_or(false),
    })
}
