//! Distributions and their behaviors.

use super::{Authorizer, Binding, Cors, GatewayResponse, PerAddress, PerCaller, Throttle};
use crate::decode::{Count, HeaderName, Host, List, Method, Named, Path, Text, Time, table};

table! {
    /// A set of host names and what happens to their requests.
    Distribution {
        /// Host names: "example.com", "*.example.com" (all names below), "*" (all others). Exact names win over
        /// wildcards, longer wildcards over shorter.
        hosts: Req<List<Host>>,
        /// Name of the origin for behaviors that name none.
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
        /// What is different in the edge's own answers here, by API Gateway's response types. Default: as for the edge.
        gateway_responses: Opt<Named<GatewayResponse>>,
        /// Header field in which viewers send their API key. Default: "x-api-key".
        api_key_header: Opt<HeaderName>,
        /// Parameter of the query in which viewers send their API key, in place of a header field.
        api_key_query: Opt<Text>,
        /// Behaviors in order: the first whose path matches counts. Default: one for all paths.
        behaviors: Opt<List<Behavior>>,
    }
}

table! {
    /// What happens to the requests of some paths.
    Behavior {
        /// Path pattern: `*` is any number of characters, `?` is one, upper and lower case differ. Default: "*".
        path: Opt<Path>,
        /// Methods that are let through, in upper case. Default: ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH",
        /// "DELETE"].
        methods: Opt<List<Method>>,
        /// Name of the origin. Default: the distribution's.
        origin: Opt<Text>,
        /// Name of the cache policy. Default: "UseOriginCacheControlHeaders-QueryStrings".
        cache_policy: Opt<Text>,
        /// A hook that says who may use the behavior. Default: everybody may.
        authorizer: Opt<Authorizer>,
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
        /// Facts about the viewer that are sent to the origin. Default: ["CloudFront-Viewer-Country"].
        viewer_headers: Opt<List<Text>>,
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
