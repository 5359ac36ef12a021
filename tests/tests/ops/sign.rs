//! `edgeweir sign`: what the real binary signs opens a real edge.

use edgeweir_tests::edge::Setup;
use edgeweir_tests::origin::Origin;
use edgeweir_tests::process::run;

const CONFIG: &str = r#"
[origins.main]
url = "http://{origin}"

[public_keys.rsa]
key = { file = "{vectors}/rsa-public.pem" }

[public_keys.ec]
key = { file = "{vectors}/ec-public.pem" }

[key_groups.all]
keys = ["rsa", "ec"]

[distributions.site]
hosts = ["site.test"]
origin = "main"

[[distributions.site.behaviors]]
path = "*"
trusted_key_groups = ["all"]
"#;

fn output(line: &[&str]) -> String {
    let output = run(line, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_and_cookies_of_the_command_open_the_edge() {
    let origin = Origin::hello().await;
    let vectors = format!("{}/vectors", env!("CARGO_MANIFEST_DIR"));
    let edge = Setup::new(CONFIG).set("origin", &origin.address()).set("vectors", &vectors).start().await;
    for key in ["rsa", "ec"] {
        let file = format!("{vectors}/{key}.pem");
        for hash in ["sha1", "sha256"] {
            let signed = ["sign", "http://site.test/a?b=c", "--key", &file, "--key-id", key, "--hash", hash];
            for more in [&[][..], &["--ip", "127.0.0.1"], &["--resource", "http://site.test/*"]] {
                let url = output(&[&signed[..], more].concat());
                let target = url.trim_end().strip_prefix("http://site.test").expect("the URL");
                assert_eq!(edge.get(target).await.status, 200, "{url}");
            }
            let late = output(&[&signed[..], &["--expires", "2001-09-09"]].concat());
            let target = late.trim_end().strip_prefix("http://site.test").expect("the URL");
            assert_eq!(edge.get(target).await.status, 403, "{late}");
        }
        let all = ["--resource", "http://site.test/*", "--cookies"];
        let line = ["sign", "http://site.test/", "--key", &file, "--key-id", key];
        let cookies = output(&[&line[..], &all].concat()).trim_end().replace('\n', "; ");
        assert_eq!(edge.get_with("/x/y", &[("cookie", &cookies)]).await.status, 200, "{cookies}");
    }
    let public = format!("{vectors}/rsa-public.pem");
    let refused = run(&["sign", "http://site.test/", "--key", &public, "--key-id", "rsa"], &[]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said.contains("this is a public key"), "{said}");
}
