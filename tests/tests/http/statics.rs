//! A directory of static files as an origin: what is served, how, and what is not.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use edgeweir_tests::edge::{Setup, TestEdge};

const CONFIG: &str = r#"
[origins.files]
directory = "{dir}/public"

[cache_policies.kept]
default_ttl = "1h"
query = "none"
accept_encoding = ["br", "gzip"]

[distributions.site]
hosts = ["site.test"]
origin = "files"

[[distributions.site.behaviors]]
path = "/kept/*"
cache_policy = "kept"

[[distributions.site.behaviors]]
path = "*"
cache_policy = "CachingDisabled"
allow_ambiguous_paths = true
"#;

fn lay_out(folder: &Path) {
    let public = folder.join("public");
    for below in ["docs", "kept", ".well-known", ".git"] {
        fs::create_dir_all(public.join(below)).expect("a folder");
    }
    let write = |name: &str, text: &str| fs::write(public.join(name), text).expect("a file");
    write("index.html", "<h1>home</h1>");
    write("docs/index.html", "<h1>docs</h1>");
    write("a b.txt", "0123456789");
    write("style.css", "plain");
    write("style.css.br", "brotli");
    write("style.css.gz", "gzip");
    write("kept/app.js", "first");
    write(".env", "secret");
    write(".git/config", "secret");
    write(".well-known/security.txt", "contact");
    fs::write(folder.join("outside.txt"), "secret").expect("a file");
    symlink("../outside.txt", public.join("link-out.txt")).expect("a link");
    symlink("..", public.join("link-up")).expect("a link");
    symlink(".env", public.join("link-hidden.txt")).expect("a link");
    symlink("style.css", public.join("link-in.css")).expect("a link");
}

async fn start() -> TestEdge {
    let setup = Setup::new(CONFIG);
    lay_out(setup.folder());
    setup.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn files_with_types_validators_and_ranges() {
    let edge = start().await;
    for (target, text, media) in [
        ("/", "<h1>home</h1>", "text/html"),
        ("/docs/", "<h1>docs</h1>", "text/html"),
        ("/a%20b.txt", "0123456789", "text/plain"),
        ("/style.css?v=1", "plain", "text/css"),
        ("/link-in.css", "plain", "text/css"),
        ("/.well-known/security.txt", "contact", "text/plain"),
    ] {
        let answer = edge.get(target).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, text), "{target}");
        assert!(answer.header("content-type").is_some_and(|found| found.starts_with(media)), "{target}");
        assert!(answer.header("etag").is_some() && answer.header("last-modified").is_some(), "{target}");
    }
    let whole = edge.get("/a%20b.txt").await;
    let (etag, modified) = (whole.header("etag").expect("one"), whole.header("last-modified").expect("one"));
    assert_eq!(edge.get_with("/a%20b.txt", &[("if-none-match", etag)]).await.status, 304);
    assert_eq!(edge.get_with("/a%20b.txt", &[("if-modified-since", modified)]).await.status, 304);
    assert_eq!(edge.get_with("/a%20b.txt", &[("if-none-match", "\"other\"")]).await.status, 200);
    let part = edge.get_with("/a%20b.txt", &[("range", "bytes=2-4")]).await;
    assert_eq!((part.status, part.text().as_str(), part.header("content-range")), (206, "234", Some("bytes 2-4/10")));
    assert_eq!(edge.get_with("/a%20b.txt", &[("range", "bytes=20-")]).await.status, 416);
    let head = edge.request("HEAD", "/a%20b.txt", &[], b"").await;
    assert_eq!((head.status, head.header("content-length"), head.text().as_str()), (200, Some("10"), ""));
    let folder = edge.get("/docs").await;
    assert!(matches!(folder.status, 301 | 307 | 308), "{}", folder.status);
    assert_eq!(folder.header("location"), Some("/docs/"));
    let posted = edge.request("POST", "/a%20b.txt", &[], b"x").await;
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET,HEAD")));
}

#[tokio::test(flavor = "multi_thread")]
async fn coded_files_go_to_who_takes_them() {
    let edge = start().await;
    for (accept, coding, text) in [
        ("br, gzip", Some("br"), "brotli"),
        ("gzip", Some("gzip"), "gzip"),
        ("identity", None, "plain"),
        ("deflate", None, "plain"),
    ] {
        let answer = edge.get_with("/style.css", &[("accept-encoding", accept)]).await;
        assert_eq!((answer.header("content-encoding"), answer.text().as_str()), (coding, text), "{accept}");
        assert!(answer.header("content-type").is_some_and(|found| found.starts_with("text/css")), "{accept}");
        assert!(answer.header("vary").is_some_and(|vary| vary.eq_ignore_ascii_case("accept-encoding")), "{accept}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_else_is_served() {
    let edge = start().await;
    for target in [
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/link-out.txt",
        "/link-up/outside.txt",
        "/link-hidden.txt",
        "/../outside.txt",
        "/%2e%2e/outside.txt",
        "/docs/..%2f..%2foutside.txt",
        "/docs/%2e%2e%2f%2e%2e%2foutside.txt",
        "/..%5coutside.txt",
        "/%00",
        "/kept/",
        "/none",
        "/index.html/x",
    ] {
        let answer = edge.get(target).await;
        assert!(matches!(answer.status, 400 | 404), "{target}: {}", answer.status);
        assert!(!answer.text().contains("secret"), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_no_file_can_have_is_not_found() {
    let edge = start().await;
    for length in [255, 256, 300, 5_000] {
        let path = format!("/{}", "x".repeat(length));
        assert_eq!(edge.get_with(&path, &[("accept-encoding", "br, gzip")]).await.status, 404, "{length}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_cached_like_anything_else() {
    let edge = start().await;
    assert_eq!(edge.get("/kept/app.js").await.text(), "first");
    fs::write(edge.folder().join("public/kept/app.js"), "second").expect("a file");
    let hit = edge.get("/kept/app.js").await;
    assert_eq!(hit.text(), "first");
    assert!(
        hit.header("cache-status").is_some_and(|status| status.contains("hit")),
        "{:?}",
        hit.header("cache-status")
    );
    let (status, _) = edge.purge(&serde_json::json!({ "paths": ["/kept/*"] })).await;
    assert_eq!(status, 200);
    assert_eq!(edge.get("/kept/app.js").await.text(), "second");
    // Over a reload, too.
    edge.reload(CONFIG).await.expect("the same config");
    assert_eq!(edge.get("/").await.text(), "<h1>home</h1>");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_not_there_is_said_with_its_place() {
    let setup = Setup::new(CONFIG);
    fs::write(setup.folder().join("public"), "a file").expect("a file");
    let Err(error) = setup.try_start().await else { panic!("a file is no directory") };
    assert!(error.contains("origin `files`: cannot serve") && error.contains("not a directory"), "{error}");
    let Err(error) = Setup::new(CONFIG).try_start().await else { panic!("there is none") };
    assert!(error.contains("origin `files`: cannot serve") && error.contains("No such file"), "{error}");
}
