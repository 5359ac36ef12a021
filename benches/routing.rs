//! From the head of a request to its behavior: host, path spelling, path patterns in order, and the gate's look at raw heads.

use std::hint::black_box;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use edgeweir_config::units::PathPattern;
use edgeweir_proxy::flow::path::normalise;
use edgeweir_proxy::geo::Geo;
use edgeweir_proxy::runtime::head::HeadCheck;
use edgeweir_proxy::snapshot::{HostIndex, Routes};

/// A site of a thousand distributions, the first of which has ten behaviors.
fn config() -> edgeweir_config::Config {
    let mut text = String::from("[origins.o]\nurl = \"http://127.0.0.1:1\"\n");
    for site in 0..1000 {
        text.push_str(&format!(
            "[distributions.s{site}]\nhosts = [\"s{site}.test\", \"*.s{site}.test\"]\norigin = \"o\"\n"
        ));
    }
    for path in ["/a/*", "/b/*", "*.jpg", "*.css", "/c/?/x", "/d", "/e/*/f", "/g*", "/h/*", "*"] {
        text.push_str(&format!("[[distributions.s0.behaviors]]\npath = \"{path}\"\n"));
    }
    match edgeweir_config::parse(&text, Path::new("")) {
        Ok(parsed) => parsed.config,
        Err(report) => panic!("{}", report.render("bench", &text, false)),
    }
}

fn routing(c: &mut Criterion) {
    let config = config();
    let hosts = HostIndex::new(&config.distributions);
    c.bench_function("host: exact of 1,000", |b| b.iter(|| hosts.find(black_box("s500.test"))));
    c.bench_function("host: wildcard of 1,000", |b| b.iter(|| hosts.find(black_box("www.eu.s500.test"))));
    let behaviors = &config.distributions[0].behaviors;
    index(c);
    let route = |path: &str| behaviors.iter().position(|behavior| behavior.path.matches(path));
    c.bench_function("behavior: first of 10", |b| b.iter(|| route(black_box("/a/picture"))));
    c.bench_function("behavior: last of 10", |b| b.iter(|| route(black_box("/shop/product/12345"))));
}

/// As many behaviors as `count`: prefixes, suffixes, exact paths and texts in the middle in turn, `*` last.
fn patterns(count: usize) -> Vec<PathPattern> {
    let text = |at: usize| match at % 4 {
        _ if at + 1 == count => "*".to_owned(),
        0 => format!("/site{at}/*"),
        1 => format!("*.x{at}"),
        2 => format!("/page/{at}"),
        _ => format!("*/feed{at}/*"),
    };
    (0..count).filter_map(|at| PathPattern::parse(&text(at)).ok()).collect()
}

/// Through the index, and one by one.
fn index(c: &mut Criterion) {
    for count in [1, 8, 10, 100, 10_000] {
        let patterns = patterns(count);
        let routes = Routes::new(patterns.iter());
        for (name, path) in [
            ("a prefix", "/site4/product/12345"),
            ("a suffix", "/shop/product/12345.x5"),
            ("only `*`", "/shop/product/12345"),
        ] {
            c.bench_function(&format!("index of {count}: {name}"), |b| {
                b.iter(|| routes.find(black_box(path), |at| patterns.get(at).is_some_and(|found| found.matches(path))));
            });
        }
        let path = "/shop/product/12345";
        c.bench_function(&format!("one by one of {count}: only `*`"), |b| {
            b.iter(|| patterns.iter().position(|pattern| pattern.matches(black_box(path))));
        });
    }
}

fn gate(c: &mut Criterion) {
    c.bench_function("path: plain", |b| b.iter(|| normalise(black_box("/shop/product/12345"))));
    c.bench_function("path: escapes and dots", |b| b.iter(|| normalise(black_box("/shop/%70roduct/../x/./12345"))));
    let head = b"GET /shop/product/12345?q=1 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: bench/1.0 (like a browser)\r\n\
        Accept: text/html,application/xhtml+xml\r\nAccept-Encoding: gzip, br\r\nAccept-Language: en\r\nCookie: s=1\r\n\r\n";
    c.bench_function("head: seven lines", |b| {
        let mut check = HeadCheck::done();
        b.iter(|| {
            check.restart(32 * 1024);
            check.feed(black_box(head))
        });
    });
}

/// What a request pays that asks where its viewer is.
fn geo(c: &mut Criterion) {
    let database = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples/demo/country.mmdb");
    let geo = match Geo::open(&[database], None, |_file| Arc::default()) {
        Ok(geo) => geo,
        Err(error) => panic!("{error}"),
    };
    let address = IpAddr::from([195, 186, 1, 111]);
    c.bench_function("geo: all facts of a country database", |b| b.iter(|| geo.lookup(black_box(address))));
    c.bench_function("geo: the country alone", |b| b.iter(|| geo.country(black_box(address))));
    let agent = b"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 \
        Mobile/15E148 Safari/604.1";
    c.bench_function("device of a user agent", |b| b.iter(|| edgeweir_hookhost::device(black_box(agent))));
}

criterion_group!(benches, routing, gate, geo);
criterion_main!(benches);
