//! `edgeweir hook deploy`, `versions` and `rollback` on a running edge.

use std::path::Path;
use std::process::Output;

use edgeweir_tests::origin::Origin;
use edgeweir_tests::process::run;
use edgeweir_tests::raw::get;
use edgeweir_tests::wasm;

use crate::support::Site;

fn config(origin: &str) -> String {
    format!(
        "[log]\naccess = \"off\"\n[origins.main]\nurl = \"http://{origin}\"\n[hooks.guard]\ndeployed = true\n\
         [hooks.other]\nfile = \"{}\"\n[distributions.site]\nhosts = [\"site.test\"]\norigin = \"main\"\n\
         [[distributions.site.behaviors]]\npath = \"*\"\ncache_policy = \"CachingDisabled\"\n\
         hooks = {{ viewer-request = [\"guard\", \"other\"] }}\n",
        wasm::guest("no-op").display()
    )
}

fn hook(site: &Site, arguments: &[&str]) -> Output {
    let file = site.file.to_string_lossy().into_owned();
    let all: Vec<&str> = ["hook"].iter().chain(arguments).copied().chain(["--config", &file]).collect();
    run(&all, &[])
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn good(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", told(output));
    told(output)
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", told(output));
    told(output)
}

fn path(guest: &str) -> String {
    wasm::guest(guest).to_string_lossy().into_owned()
}

async fn status(site: &Site) -> u16 {
    get(site.address, "site.test", "/t", &[]).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_come_into_force_and_go_back() {
    let origin = Origin::hello().await;
    let site = Site::new(&config(&origin.address()));
    let file = site.file.to_string_lossy().into_owned();
    // Before the first: nothing to serve with, and what to do.
    let words = refused(&run(&["check", &file], &[]));
    assert!(words.contains("nothing is deployed as `guard`: run `edgeweir hook deploy FILE --as guard`"), "{words}");
    let words = good(&hook(&site, &["deploy", &path("no-op"), "--as", "guard"]));
    assert!(words.contains("no edge is running, it takes effect at the start"), "{words}");
    let process = site.serve().await;
    assert_eq!(status(&site).await, 200);

    let words = good(&hook(&site, &["deploy", &path("respond"), "--as", "guard"]));
    assert!(words.contains("in force, snapshot 2; before: "), "{words}");
    assert_eq!(status(&site).await, 418);
    let words = good(&hook(&site, &["deploy", &path("respond"), "--as", "guard"]));
    assert!(words.contains("nothing changes (in force, snapshot 3)") && !words.contains("deployed"), "{words}");
    let list = good(&hook(&site, &["versions", "guard"]));
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(list.starts_with("* ") && list.contains("respond.wasm"), "{list}");

    // Back, and by its id forth again.
    let words = good(&hook(&site, &["rollback", "guard"]));
    assert!(words.contains("again: in force, snapshot 4"), "{words}");
    assert_eq!(status(&site).await, 200);
    assert!(refused(&hook(&site, &["rollback", "guard"])).contains("there is no version before"));
    let id = list.split_whitespace().nth(1).expect("an id").to_owned();
    let to = ["rollback", "guard", id.get(..6).expect("hexadecimal")];
    assert!(good(&hook(&site, &to)).contains("again"));
    let words = good(&hook(&site, &to));
    assert!(words.contains("nothing changes"), "{words}");
    assert_eq!(status(&site).await, 418);

    // A reload and a restart keep what is in force.
    good(&run(&["reload", &file], &[]));
    assert_eq!(status(&site).await, 418);
    drop(process);
    let _process = site.serve().await;
    assert_eq!(status(&site).await, 418);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_leaves_everything_as_it_was() {
    let origin = Origin::hello().await;
    let site = Site::new(&config(&origin.address()));
    good(&hook(&site, &["deploy", &path("no-op"), "--as", "guard"]));
    let process = site.serve().await;
    let before = good(&hook(&site, &["versions", "guard"]));
    let case = site.folder.path().join("never.toml");
    std::fs::write(&case, "stage = \"viewer-request\"\n[expect]\nverdict = \"respond\"\n").expect("a writable folder");
    let text = site.folder.path().join("text.wasm");
    std::fs::write(&text, "not wasm").expect("a writable folder");
    for (arguments, words) in [
        // Not a hook; not for this stage, which only the whole configuration tells; a case that fails.
        (vec!["deploy", &text.to_string_lossy(), "--as", "guard"], "not a WASM module"),
        (vec!["deploy", &path("no-stage"), "--as", "guard"], "none of the four stages"),
        (vec!["deploy", &path("grants"), "--as", "guard"], "the edge refuses it, and stays as it was"),
        (vec!["deploy", &path("header-edit"), "--as", "guard", "--cases", &case.to_string_lossy()], "a case fails"),
        (vec!["deploy", &path("respond"), "--as", "other"], "comes from"),
        (vec!["deploy", &path("respond"), "--as", "nobody"], "has no hook `nobody`"),
        (vec!["deploy", "missing.wasm", "--as", "guard"], "cannot read `missing.wasm`"),
        (vec!["rollback", "guard", "ffff"], "has no version `ffff`"),
    ] {
        let told = refused(&hook(&site, &arguments));
        assert!(told.contains(words), "{arguments:?}: {told}");
        assert_eq!(status(&site).await, 200, "{arguments:?}");
        assert_eq!(good(&hook(&site, &["versions", "guard"])), before, "{arguments:?}");
    }
    // Calls of the admin API that mean no version.
    for target in ["/v1/hooks/guard/versions/..%2Fcurrent", "/v1/hooks/guard/versions/0", "/v1/hooks/other/versions/0"]
    {
        let answer = process.admin("POST", target).await;
        assert!(matches!(answer.status, 404 | 409 | 422), "{target}: {} {}", answer.status, answer.text());
    }
    assert_eq!(process.admin("GET", "/v1/hooks/guard/versions/0").await.status, 405);
    assert_eq!(status(&site).await, 200);
    assert!(Path::new(&site.state).join("deployed/guard/current").is_file());
}
