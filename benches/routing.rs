//! From the head of a request to its behavior: host, path spelling, path patterns in order, and the gate's look at raw heads.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use edgeweir_proxy::flow::path::normalise;
use edgeweir_proxy::runtime::head::HeadCheck;
use edgeweir_proxy::snapshot::HostIndex;

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
    let route = |path: &str| behaviors.iter().position(|behavior| behavior.path.matches(path));
    c.bench_function("behavior: first of 10", |b| b.iter(|| route(black_box("/a/picture"))));
    c.bench_function("behavior: last of 10", |b| b.iter(|| route(black_box("/shop/product/12345"))));
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

criterion_group!(benches, routing, gate);
criterion_main!(benches);
