//! Every example is a configuration without errors or warnings, and shows what it is there for.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use std::path::{Path, PathBuf};

use edgeweir_config::{
    Balance, Config, KeyValue, Parsed, SecretSource, Stage, Target, ViewerField, ViewerProtocolPolicy, parse, summary,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn example(name: &str) -> Config {
    let source = std::fs::read_to_string(folder().join(name)).unwrap();
    match parse(&source, Path::new("/base")) {
        Ok(Parsed { config, warnings }) => {
            assert!(warnings.is_empty(), "{}", warnings.render(name, &source, false));
            config
        }
        Err(report) => panic!("{}", report.render(name, &source, false)),
    }
}

#[test]
fn every_example_parses_and_has_a_summary() {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "acme.toml",
            "api-keys.toml",
            "cache.toml",
            "demo.toml",
            "geo.toml",
            "hooks.toml",
            "limits.toml",
            "minimal.toml",
            "origins.toml",
            "responses.toml",
            "routing.toml",
            "shop.toml",
            "signed.toml",
            "static.toml",
            "tls.toml"
        ]
    );
    for name in names {
        let text = summary(&example(&name));
        assert!(text.starts_with("listeners\n"), "{text}");
        assert!(text.lines().all(|line| line.trim_end() == line), "{text}");
    }
}

fn names(fields: &[ViewerField]) -> Vec<&str> {
    fields.iter().map(|field| field.name.as_str()).collect()
}

#[test]
fn minimal_has_all_defaults() {
    let config = example("minimal.toml");
    assert_eq!(config.listeners.first().unwrap().address, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(config.state_dir, Path::new("/base/.edgeweir"));
    assert_eq!(config.gate.max_url, 8_192);
    let behavior = config.distributions.first().unwrap().behaviors.first().unwrap();
    assert_eq!(behavior.path.as_str(), "*");
    assert_eq!(behavior.methods.len(), 7);
    assert_eq!(names(&behavior.viewer_headers), ["cloudfront-viewer-country"]);
    let policy = &config.cache_policies[behavior.cache_policy.0];
    assert_eq!(policy.name, "UseOriginCacheControlHeaders-QueryStrings");
    assert!(!policy.disabled());
}

#[test]
fn origins_have_a_group_addresses_and_trust() {
    let config = example("origins.toml");
    let origin = |name: &str| config.origins.iter().find(|origin| origin.name == name).unwrap();
    let behaviors = &config.distributions.first().unwrap().behaviors;
    let Target::Group(group) = behaviors[1].origin else { panic!("{:?}", behaviors[1].origin) };
    let group = &config.origin_groups[group.0];
    let members: Vec<&str> = group.members.iter().map(|id| config.origins[id.0].name.as_str()).collect();
    assert_eq!((group.name.as_str(), members), ("pages", vec!["shop", "copy"]));
    let pool = &origin("shop").pool;
    assert_eq!(pool.addresses, [("10.0.1.11".to_owned(), 8080), ("10.0.1.12".to_owned(), 8080)]);
    assert_eq!((pool.balance, pool.max_requests), (Balance::LeastOutstanding, Some(200)));
    assert_eq!(origin("shop").health_check.as_ref().unwrap().path, "/healthz");
    assert_eq!(origin("api").trust.sni.as_deref(), Some("api.internal"));
    assert_eq!(origin("api").trust.ca.as_deref(), Some(Path::new("/base/certs/internal-ca.pem")));
    let shown = summary(&config);
    assert!(shown.contains("shop, then copy"), "{shown}");
}

#[test]
fn demo_binds_its_hooks_and_keys() {
    let config = example("demo.toml");
    let demo = config.distributions.first().unwrap();
    let behavior = |path: &str| demo.behaviors.iter().find(|b| b.path.as_str() == path).unwrap();
    let hook = |path: &str, stage| {
        let binding = behavior(path).hooks_at(stage).first().unwrap();
        config.hooks[binding.hook.0].name.as_str()
    };
    assert_eq!(hook("/private/*", Stage::ViewerRequest), "jwt-auth");
    assert_eq!(hook("/geo/*", Stage::OriginRequest), "geo-route");
    assert_eq!(hook("/rewrite/*", Stage::ViewerRequest), "header-rewrite");
    assert_eq!(hook("/rewrite/*", Stage::ViewerResponse), "header-rewrite");
    assert!(behavior("/api/*").api_key_required);
    assert!(config.cache_policies[behavior("/geo/*").cache_policy.0].disabled());
    assert!(config.admin.as_ref().unwrap().token.is_none());
    let key = config.api_keys.first().unwrap();
    assert_eq!(key.value, KeyValue::Clear(SecretSource::Inline("demo-key-0123456789abcdef".to_owned())));
}

#[test]
fn settings_are_json_and_secrets_are_put_in_later() {
    let config = example("hooks.toml");
    let behavior = config.distributions.first().unwrap().behaviors.first().unwrap();
    let binding = behavior.hooks_at(Stage::ViewerRequest).first().unwrap();
    assert_eq!(binding.settings, r#"{"algorithm":"HS256","claims":{"sub":"x-user"},"secret":null}"#);
    let read = |pointer: &str, source: &SecretSource| {
        assert_eq!(pointer, "/secret");
        assert_eq!(*source, SecretSource::Env("SITE_JWT_SECRET".to_owned()));
        Ok::<_, ()>("s3cr\"et".to_owned())
    };
    assert_eq!(
        binding.settings_with(read).unwrap(),
        r#"{"algorithm":"HS256","claims":{"sub":"x-user"},"secret":"s3cr\"et"}"#
    );
    assert_eq!(binding.settings_with(|_, _| Err("no such variable")), Err("no such variable"));
}

#[test]
fn summaries_show_no_secret() {
    for name in ["demo.toml", "api-keys.toml"] {
        let config = example(name);
        for text in [summary(&config), format!("{:?}", config.api_keys)] {
            assert!(!text.contains("demo-key") && !text.contains("please-replace-me"), "{text}");
        }
    }
}

#[test]
fn the_summary_of_the_demo_is_as_committed() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/demo.summary");
    let found = summary(&example("demo.toml"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &found).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap_or_default(), found);
}

const GRANTS: &str = r#"
[origins.app]
url = "http://127.0.0.1:3000"
[hooks.flags]
file = "flags.wasm"
[key_value_stores.flags]
entries = { dark = "not-to-be-shown" }
[key_value_stores.more]
file = "more.json"
[distributions.site]
hosts = ["*"]
origin = "app"
[[distributions.site.behaviors]]
hooks.viewer-request = [
    { hook = "flags", key_value_stores = ["more", "flags"], secrets = { pin = "not-to-be-shown", key = { file = "k" } } },
    "flags",
]
"#;

#[test]
fn grants_belong_to_the_binding_and_no_value_is_shown() {
    let config = parse(GRANTS, Path::new("/base")).unwrap().config;
    let [all, none] = config.distributions[0].behaviors[0].hooks_at(Stage::ViewerRequest) else { panic!("two") };
    let names = |binding: &edgeweir_config::Binding| -> Option<Vec<String>> {
        let ids = binding.key_value_stores.as_ref()?.iter();
        Some(ids.map(|id| config.key_value_stores[id.0].name.clone()).collect())
    };
    assert_eq!(names(all), Some(vec!["more".to_owned(), "flags".to_owned()]));
    assert_eq!((names(none), none.secrets.is_none()), (None, true));
    let secrets = all.secrets.as_ref().unwrap();
    assert_eq!(secrets[0], ("key".to_owned(), SecretSource::File("/base/k".into())));
    assert_eq!(secrets[1], ("pin".to_owned(), SecretSource::Inline("not-to-be-shown".to_owned())));
    let shown = summary(&config);
    assert!(shown.contains("flags  1 in the config\n  more   /base/more.json\n"), "{shown}");
    for text in [shown, format!("{config:?}")] {
        assert!(!text.contains("not-to-be-shown"), "{text}");
    }
}

#[test]
fn a_setting_has_a_place_in_the_text() {
    let source =
        GRANTS.replace("\"flags\",\n]", "{ hook = \"flags\", settings = { list = [1, { deep = true }] } },\n]");
    let config = parse(&source, Path::new("/base")).unwrap().config;
    let binding = &config.distributions[0].behaviors[0].hooks_at(Stage::ViewerRequest)[1];
    let written = |pointer: &str| source.get(binding.place.of(pointer)).unwrap();
    assert_eq!(written("/list/1/deep"), "true");
    assert_eq!(written("/list/0"), "1");
    assert_eq!(written("/list/0/x"), "1", "the nearest that is written");
    assert_eq!(written("/other"), "{ list = [1, { deep = true }] }");
    assert_eq!(written(""), "{ list = [1, { deep = true }] }");
}

#[test]
fn limits_show_in_the_summary() {
    let config = example("limits.toml");
    let text = summary(&config);
    for words in [
        "limits of the edge\n  50/s burst 100 and 20 at once for each address",
        "20/s burst 40, 10 at once, 2/s burst 5 for POST /api/*",
        "0.1/s burst 6 for each address, POST 20/s burst 20",
        "4 at once",
    ] {
        assert!(text.contains(words), "{words}:\n{text}");
    }
    let site = config.distributions.first().unwrap();
    assert!(site.behaviors.iter().all(|behavior| behavior.cors.is_some()), "the distribution's");
    assert_eq!(site.gateway_responses.len(), 1);
}

#[test]
fn routing_has_conditions_and_who_is_let_in() {
    let config = example("routing.toml");
    assert!(config.listeners[0].proxy_protocol);
    let shop = config.distributions.first().unwrap();
    assert_eq!(shop.default_root_object.as_deref(), Some("index.html"));
    let [next, downloads, api, rest] = shop.behaviors.as_slice() else { panic!("four behaviors") };
    assert_eq!(next.conditions.to_string(), "cookie version = \"next\", method GET or HEAD");
    assert!(rest.conditions.is_empty());
    let policies = [next, api, rest].map(|behavior| behavior.viewer_protocol.policy);
    assert_eq!(
        policies,
        [ViewerProtocolPolicy::RedirectToHttps, ViewerProtocolPolicy::HttpsOnly, ViewerProtocolPolicy::RedirectToHttps]
    );
    let allowed = downloads.geo_restriction.as_ref().unwrap().allow.as_ref().unwrap();
    assert_eq!(allowed.countries, ["CH", "LI"]);
    assert_eq!(rest.geo_restriction.as_ref().unwrap().deny.as_ref().unwrap().countries, ["KP"]);
    // By whatever name they are called, fields have the edge's prefix.
    assert_eq!(names(&rest.viewer_headers), ["edge-viewer-country"]);
    let policy = &config.cache_policies[rest.cache_policy.0];
    assert_eq!(policy.headers, ["edge-is-mobile-viewer", "edge-viewer-country"]);
}
