//! Distributions and their behaviors.

use super::{
    Authorizer, Binding, Cors, ErrorResponse, GatewayResponse, GeoRestriction, Match, PerAddress, PerCaller, Throttle,
    ViewerHeader,
};
use crate::decode::{Count, HeaderName, Host, List, Method, Named, Path, RedirectStatus, Text, Time, table};
use crate::model::ViewerProtocolPolicy;

table! {
    /// A set of host names and what happens to their requests.
    Distribution {
        /// Host names: "example.com", "*.example.com" (all names below), "*" (all others). Exact names win over
        /// wildcards, longer wildcards over shorter.
        hosts: Req<List<Host>>,
        /// Name of the origin, or group of origins, for behaviors that name none.
        origin: Opt<Text>,
        /// For all requests of the distribution together. Default: no limit.
        throttle: Opt<Throttle>,
        /// Requests of the distribution at work at once, 1 to 10,000,000; more are answered with 429. Default: no limit.
        concurrency: Opt<Count<1, 10_000_000>>,
        /// For each viewer's address by itself. Default: no limit.
        per_address: Opt<PerAddress>,
        /// For each caller by itself. Default: no limit.
        per_caller: Opt<PerCaller>,
        /// Which pages of other origins may use it (CORS), where a behavior says nothing else. Default: the origin's own
        /// headers pass.
        cors: Opt<Cors>,
        /// Name of the response headers policy of behaviors that name none. Default: none.
        response_headers_policy: Opt<Text>,
        /// What is different in the edge's own answers here, by API Gateway's response types. Default: as for the edge.
        gateway_responses: Opt<Named<GatewayResponse>>,
        /// What viewers get in place of errors: pages by status. Default: errors as they are.
        error_responses: Opt<List<ErrorResponse>>,
        /// Header field in which viewers send their API key. Default: "x-api-key".
        api_key_header: Opt<HeaderName>,
        /// Parameter of the query in which viewers send their API key, in place of a header field.
        api_key_query: Opt<Text>,
        /// What is served for `/`, and only for that, such as "index.html". Default: what the origin has there.
        default_root_object: Opt<Text>,
        /// "allow-all", "redirect-to-https" or "https-only", for behaviors that say nothing. Default: "allow-all".
        viewer_protocol_policy: Opt<ViewerProtocolPolicy>,
        /// Status of redirects to HTTPS, for behaviors that say nothing. Default: 301 for GET and HEAD, 307 for others.
        redirect_status: Opt<RedirectStatus>,
        /// Port that redirects to HTTPS name, for behaviors that say nothing. Default: 443, which is left out.
        https_port: Opt<Count<1, 65_535>>,
        /// Which viewers are refused for where they are, for behaviors that say nothing. Default: none.
        geo_restriction: Opt<GeoRestriction>,
        /// Behaviors in order: the first whose path and conditions match counts. Default: one for all paths.
        behaviors: Opt<List<Behavior>>,
    }
}

table! {
    /// What happens to the requests of some paths.
    Behavior {
        /// Path pattern: `*` is any number of characters, `?` is one, upper and lower case differ. Default: "*".
        path: Opt<Path>,
        /// Conditions beside the path: where they do not hold, the next behavior has its turn. Default: none.
        matches as "match": Opt<Match>,
        /// "allow-all", "redirect-to-https" or "https-only" (403 for HTTP). Default: the distribution's.
        viewer_protocol_policy: Opt<ViewerProtocolPolicy>,
        /// Status of redirects to HTTPS: 301, 302, 307 or 308. With 301 and 302 methods other than GET and HEAD get 307.
        /// Default: the distribution's.
        redirect_status: Opt<RedirectStatus>,
        /// Port that redirects to HTTPS name. Default: the distribution's.
        https_port: Opt<Count<1, 65_535>>,
        /// Which viewers are refused for where they are, in place of the distribution's. Default: the distribution's.
        geo_restriction: Opt<GeoRestriction>,
        /// Methods that are let through, in upper case. Default: ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH",
        /// "DELETE"].
        methods: Opt<List<Method>>,
        /// Name of the origin or group of origins. Default: the distribution's.
        origin: Opt<Text>,
        /// Name of the cache policy. Default: "UseOriginCacheControlHeaders-QueryStrings".
        cache_policy: Opt<Text>,
        /// Name of the response headers policy: what is put on and taken off answers. Default: the distribution's.
        response_headers_policy: Opt<Text>,
        /// A hook that says who may use the behavior. Default: everybody may.
        authorizer: Opt<Authorizer>,
        /// Names of key groups: only signed URLs and signed cookies of their keys open it. Default: everybody may.
        trusted_key_groups: Opt<List<Text>>,
        /// Which pages of other origins may use it (CORS). Default: the distribution's.
        cors: Opt<Cors>,
        /// Hooks by stage.
        hooks: Opt<StageHooks>,
        /// For all requests of the behavior together. Default: no limit.
        throttle: Opt<Throttle>,
        /// For all requests with a method together, by method, in place of `throttle`. Default: none.
        method_throttles: Opt<Named<Throttle>>,
        /// Requests of the behavior at work at once, 1 to 10,000,000; more are answered with 429. Default: no limit.
        concurrency: Opt<Count<1, 10_000_000>>,
        /// For each viewer's address by itself. Default: no limit.
        per_address: Opt<PerAddress>,
        /// For each caller by itself. Default: no limit.
        per_caller: Opt<PerCaller>,
        /// Ask for an API key of a usage plan that covers the distribution. Default: false.
        api_key_required: Opt<bool>,
        /// Names of the usage plans whose keys open it. Default: all that cover the distribution.
        usage_plans: Opt<List<Text>>,
        /// Send the path to the origin as the viewer spelled it, instead of normalised. Default: false.
        raw_path: Opt<bool>,
        /// Let through paths that origins read in different ways (`%2f`, `%5c`, `%00`, double encoding, `;`).
        /// Default: false.
        allow_ambiguous_paths: Opt<bool>,
        /// How long a WebSocket may be silent in both directions, and the origin within an answer (server-sent events,
        /// gRPC), 10ms to 1d. Default: 10m for a WebSocket, the origin's `read_timeout` for answers.
        idle_timeout: Opt<Time<10, 86_400_000>>,
        /// Facts about the viewer that are sent to the origin, each by its name, or as `{ header = …, fact = … }` in a field
        /// of another name. Default: ["CloudFront-Viewer-Country"].
        viewer_headers: Opt<List<ViewerHeader>>,
    }
}

table! {
    /// Hooks by stage; each stage has a list of hooks that run in order.
    StageHooks {
        /// On every request, before the cache.
        viewer_request as "viewer-request": Opt<List<Binding>>,
        /// Before the origin is asked.
        origin_request as "origin-request": Opt<List<Binding>>,
        /// After the origin answered, before the response is stored.
        origin_response as "origin-response": Opt<List<Binding>>,
        /// Before the response goes to the viewer.
        viewer_response as "viewer-response": Opt<List<Binding>>,
    }
}

impl StageHooks {
    /// The bindings of all stages, in the order of [`crate::model::Stage::ALL`].
    pub(crate) fn stages(&self) -> [Option<&List<Binding>>; 4] {
        [&self.viewer_request, &self.origin_request, &self.origin_response, &self.viewer_response].map(|s| s.value())
    }
}
