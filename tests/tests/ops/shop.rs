//! A day of the shop in `config/examples/shop.toml`: the file as it is, but for addresses, against origins of this test.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use edgeweir_proxy::signed::{Hash, PrivateKey, canned, encode};
use edgeweir_tests::edge::{Setup, TestEdge};
use edgeweir_tests::origin::{Origin, Received, Reply};
use edgeweir_tests::raw::{self, Response};
use edgeweir_tests::websocket::{WebSocket, WebSocketOrigin};

const SHOP: &str = "shop.example.com";
const PICTURES: &str = "pictures.example.com";
const KEY: &str = "partner-key-0123456789abcdef";
const SWITZERLAND: (&str, &str) = ("x-forwarded-for", "130.59.31.80");
const AMERICA: (&str, &str) = ("x-forwarded-for", "8.8.8.8");

fn folder(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(of)
}

struct Day {
    edge: TestEdge,
    application: Option<Origin>,
    second: Option<Origin>,
    europe: Origin,
    bucket: Origin,
    _chat: WebSocketOrigin,
}

impl Day {
    async fn begin() -> Self {
        let application = Origin::start(applications("america")).await;
        let second = Origin::start(applications("second")).await;
        let europe = Origin::start(applications("europe")).await;
        let chat = WebSocketOrigin::start().await;
        let bucket = Origin::start(|request| match request.header("authorization") {
            Some(signed) if signed.starts_with("AWS4-HMAC-SHA256 Credential=AKIDPICTURES/") => {
                Reply::new(200, &[("content-type", "image/png")], request.target())
            }
            _ => Reply::new(403, &[], "AccessDenied"),
        })
        .await;
        let text = std::fs::read_to_string(folder("../config/examples/shop.toml")).expect("the example");
        let examples = folder("../config/examples").display().to_string();
        let mut text = text
            .replace("127.0.0.1:8080", "127.0.0.1:0")
            .replace("\"demo/country.mmdb\"", &format!("\"{examples}/demo/country.mmdb\""))
            .replace("directory = \"shop\"", &format!("directory = \"{examples}/shop\""));
        for (at, origin) in [&application, &second, &europe].into_iter().enumerate() {
            text = text.replace(&format!("127.0.0.1:300{at}"), &origin.address());
        }
        text = text.replace("127.0.0.1:3003", &chat.address()).replace("127.0.0.1:3004", &bucket.address());
        let public = std::fs::read_to_string(folder("vectors/rsa-public.pem")).expect("the key");
        let edge = Setup::new(&text)
            .env("PICTURES_ACCESS_KEY", "AKIDPICTURES")
            .env("PICTURES_SECRET_KEY", "a-secret-of-the-bucket")
            .env("DOWNLOADS_PUBLIC_KEY", &public)
            .env("PARTNER_KEY", KEY)
            .start()
            .await;
        Self { edge, application: Some(application), second: Some(second), europe, bucket, _chat: chat }
    }

    async fn get(&self, host: &str, target: &str, headers: &[(&str, &str)]) -> Response {
        raw::get(self.edge.address(), host, target, headers).await
    }
}

fn applications(name: &'static str) -> impl Fn(&Received) -> Reply + Send + Sync + 'static {
    move |request| {
        let text = format!("{name} {} {}", request.method(), request.target());
        match request.target() {
            target if target.starts_with("/products/none") => Reply::new(404, &[], "no such product"),
            target if target.starts_with("/products/") => {
                Reply::new(200, &[("cache-control", "max-age=1"), ("x-powered-by", "beans")], text)
            }
            target if target.starts_with("/downloads/") => Reply::new(200, &[("etag", "\"1\"")], text),
            _ => Reply::new(200, &[], text),
        }
    }
}

/// A URL of the shop as a customer gets it after paying.
fn signed(target: &str, lasts: Duration) -> String {
    let until = (SystemTime::now() + lasts).duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let pem = std::fs::read_to_string(folder("vectors/rsa.pem")).expect("the key");
    let key = PrivateKey::parse(&pem).expect("a private key");
    let policy = canned(&format!("http://{SHOP}{target}"), until);
    let signature = encode(&key.sign(Hash::Sha1, policy.as_bytes()).expect("a signature"));
    format!("{target}?Expires={until}&Signature={signature}&Key-Pair-Id=KSHOPDOWNLOADS")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_the_shop() {
    let mut day = Day::begin().await;
    morning(&day).await;
    partners(&day).await;
    customers(&day).await;
    outage(&mut day).await;
    evening(&day).await;
}

/// Pages and pictures, and who gets products from where.
async fn morning(day: &Day) {
    let home = day.get(SHOP, "/", &[]).await;
    assert_eq!((home.status, home.header("content-type")), (200, Some("text/html")));
    assert!(home.text().contains("Open all day"));
    assert_eq!(home.header("x-frame-options"), Some("DENY"));
    assert_eq!(home.header("strict-transport-security"), None, "only with TLS");
    assert!(cache(&day.get(SHOP, "/", &[]).await).contains("hit"));
    let lost = day.get(SHOP, "/a-thing-of-the-past", &[]).await;
    assert_eq!(lost.status, 404);
    assert!(lost.text().contains("We do not sell that"), "{}", lost.text());

    for (viewer, text) in [(SWITZERLAND, "europe GET /products/1?size=m"), (AMERICA, "america GET /products/1?size=m")]
    {
        for _ in 0..2 {
            let product = day.get(SHOP, "/products/1?size=m&utm_source=mail", &[viewer]).await;
            assert_eq!((product.status, product.text().as_str()), (200, text));
            assert_eq!(product.header("x-powered-by"), None);
        }
    }
    assert_eq!(day.europe.count(), 1, "each continent has its answer stored");
    let none = day.get(SHOP, "/products/none", &[AMERICA]).await;
    assert_eq!(none.status, 404);
    assert!(none.text().contains("We do not sell that"), "an application's errors have the page too");

    for _ in 0..3 {
        let picture = day.get(PICTURES, "/cups/1.png?x=1", &[("origin", "https://blog.example")]).await;
        assert_eq!((picture.status, picture.text().as_str()), (200, "/pictures/cups/1.png"));
        assert_eq!(picture.header("access-control-allow-origin"), Some("*"));
    }
    assert_eq!(day.bucket.count(), 1);
    assert_eq!(raw::request(day.edge.address(), "PUT", PICTURES, "/cups/1.png", &[], b"mine").await.status, 405);
}

/// A partner's page in a browser: a preflight without a key, then calls with one, until there are too many.
async fn partners(day: &Day) {
    let origin = ("origin", "https://partner.example");
    let asks = [origin, ("access-control-request-method", "GET"), ("access-control-request-headers", "x-api-key")];
    let preflight = raw::request(day.edge.address(), "OPTIONS", SHOP, "/api/stock", &asks, b"").await;
    assert!((200..300).contains(&preflight.status), "{}", preflight.status);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("https://partner.example"));
    assert_eq!(preflight.header("access-control-allow-headers"), Some("x-api-key"));

    let nameless = day.get(SHOP, "/api/stock", &[origin]).await;
    assert_eq!((nameless.status, nameless.text().as_str()), (403, r#"{"message":"Forbidden"}"#));
    assert_eq!(
        nameless.header("access-control-allow-origin"),
        Some("https://partner.example"),
        "so that it can be read"
    );

    let (mut answered, mut refused) = (0, 0);
    for _ in 0..12 {
        let answer = day.get(SHOP, "/api/stock", &[origin, ("x-api-key", KEY)]).await;
        match answer.status {
            200 => answered += 1,
            429 => refused += 1,
            other => panic!("{other}: {}", answer.text()),
        }
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://partner.example"));
    }
    assert!(answered >= 5 && refused >= 1, "{answered} answered, {refused} refused");
    let elsewhere = day.get(SHOP, "/api/stock", &[("origin", "https://thief.example"), ("x-api-key", "x")]).await;
    assert_eq!((elsewhere.status, elsewhere.header("access-control-allow-origin")), (403, None));
}

/// Chat, checkout, and what was paid for.
async fn customers(day: &Day) {
    let (mut chat, _) = WebSocket::connect(day.edge.address(), SHOP, "/chat").await.expect("a WebSocket");
    assert_eq!(chat.echo("do you have cups?").await.expect("an answer"), "do you have cups?");

    let bought = raw::request(day.edge.address(), "POST", SHOP, "/checkout", &[AMERICA], b"one cup").await;
    assert_eq!((bought.status, bought.text().as_str()), (200, "america POST /checkout"));
    let twice = day.application.as_ref().expect("open").requests();
    assert_eq!(twice.iter().filter(|request| request.method() == "POST").count(), 1);

    assert_eq!(day.get(SHOP, "/downloads/manual.pdf", &[]).await.status, 403, "not paid");
    let paid = signed("/downloads/manual.pdf", Duration::from_secs(600));
    for target in [&paid, &signed("/downloads/manual.pdf", Duration::from_secs(900))] {
        let manual = day.get(SHOP, target, &[]).await;
        assert_eq!((manual.status, manual.text().as_str()), (200, "america GET /downloads/manual.pdf"));
    }
    let asked = day.application.as_ref().expect("open").requests();
    assert_eq!(asked.iter().filter(|request| request.target().starts_with("/downloads")).count(), 1, "one for all");
    assert_eq!(day.get(SHOP, &paid.replace("manual", "novel"), &[]).await.status, 403, "another one's");
    let range = day.get(SHOP, &paid, &[("range", "bytes=0-6")]).await;
    assert_eq!((range.status, range.text().as_str()), (206, "america"));
    assert_eq!(chat.echo("thanks").await.expect("an answer"), "thanks", "still open");
}

/// One application dies, then the other.
async fn outage(day: &mut Day) {
    drop(day.application.take());
    let other = day.get(SHOP, "/products/2", &[AMERICA]).await;
    assert_eq!((other.status, other.text().as_str()), (200, "second GET /products/2"));
    drop(day.second.take());
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let stale = day.get(SHOP, "/products/2", &[AMERICA]).await;
    assert_eq!((stale.status, stale.text().as_str()), (200, "second GET /products/2"), "the last good answer");
    let new = day.get(SHOP, "/products/3", &[AMERICA]).await;
    assert_eq!(new.status, 503);
    assert!(new.text().contains("back soon"), "{}", new.text());
    let europe = day.get(SHOP, "/products/3", &[SWITZERLAND]).await;
    assert_eq!(europe.text(), "europe GET /products/3", "others are not touched");
    let order = raw::request(day.edge.address(), "POST", SHOP, "/checkout", &[AMERICA], b"one cup").await;
    assert_eq!(order.status, 503, "and told so");
}

/// New prices: a purge; and what the day has left in the books.
async fn evening(day: &Day) {
    let europe = day.europe.count();
    let (status, _) = day.edge.purge(&serde_json::json!({ "urls": [format!("http://{SHOP}/products/*")] })).await;
    assert_eq!(status, 200);
    assert_eq!(day.get(SHOP, "/products/1?size=m", &[SWITZERLAND]).await.status, 200);
    assert_eq!(day.europe.count(), europe + 1, "fetched anew");
    assert!(day.edge.metric("edgeweir_plan_requests_total", &["partners"]).await >= 5.0);
    let metrics = day.edge.metrics().await;
    assert!(!metrics.contains(KEY), "no key in the metrics");
}

fn cache(response: &Response) -> String {
    response.header("cache-status").unwrap_or_default().to_owned()
}
