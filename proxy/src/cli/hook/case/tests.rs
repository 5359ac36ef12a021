use super::*;

fn minimal(more: &str) -> String {
    format!("stage = \"viewer-request\"\n{more}\n[expect]\nverdict = \"next\"\n")
}

fn refused(text: &str) -> String {
    Case::load(Path::new("a.toml"), text).err().unwrap().to_string()
}

#[test]
fn a_small_case_has_defaults() {
    let (_, input, _) = Case::load(Path::new("a.toml"), &minimal("")).unwrap();
    assert_eq!((input.request.method.as_str(), input.request.uri.path(), input.https), ("GET", "/", true));
    assert_eq!((&*input.settings, &*input.authority, input.now), ("{}", "www.example.com", DEFAULT_NOW));
    assert_eq!(input.limits, DEFAULT_LIMITS);
}

#[test]
fn everything_that_a_call_has_can_be_said() {
    let text = r#"
        stage = "origin-response"
        now = 2026-11-21T13:00:00.5+01:00
        note = "left"
        origin = "eu"
        timeout = "20ms"
        memory = "1MiB"
        [request]
        method = "POST"
        scheme = "http"
        uri = "/a?b"
        headers = { Host = "WWW.example", x-many = ["1", "2"] }
        [response]
        status = 404
        headers = { server = "x" }
        cache_outcome = "miss"
        [viewer]
        address = "2001:db8::1"
        http_version = "2.0"
        coordinates = [46.9, 7.4]
        [settings]
        number = 1
        deep = { list = [true, 1.5, 2026-01-01] }
        [expect]
        verdict = "next"
        ttl = "1h"
        [budget]
        size = "100KiB"
        memory = "1MiB"
    "#;
    let (case, input, _) = Case::load(Path::new("a.toml"), text).unwrap();
    assert_eq!((case.budget.size, case.budget.memory), (Some(102_400), Some(1 << 20)));
    assert_eq!(case.expect.ttl, Some(Duration::from_secs(3600)));
    assert_eq!(input.now, 1_795_262_400_500);
    assert_eq!(input.limits, HookLimits { timeout: Duration::from_millis(20), memory: 1 << 20, ..DEFAULT_LIMITS });
    assert_eq!((&*input.authority, input.https), ("www.example", false));
    assert_eq!(input.request.headers.get_all("x-many").iter().count(), 2);
    assert_eq!(&*input.settings, r#"{"deep":{"list":[true,1.5,"2026-01-01"]},"number":1}"#);
    assert_eq!(input.response.map(|(head, outcome)| (head.status.as_u16(), outcome)), Some((404, Some("miss"))));
    assert_eq!(
        (input.origin.as_deref().map(|origin| &*origin.name), input.note.as_deref()),
        (Some("eu"), Some("left"))
    );
    assert_eq!(input.facts.viewer.http_version, Version::HTTP_2);
}

#[test]
fn what_is_not_a_case_is_refused_with_a_reason() {
    for (text, word) in [
        ("", "missing field `stage`"),
        ("stage = \"request\"", "stages are `viewer-request`"),
        ("stage = \"viewer-request\"", "needs a `verdict` or a `fault`"),
        ("stage = \"viewer-request\"\n[expect]\nverdict = \"deny\"", "no verdict of viewer-request"),
        ("stage = \"viewer-request\"\n[expect]\nverdict = \"next\"\nfault = \"failed\"", "names both"),
        ("stage = \"viewer-response\"\n[expect]\nverdict = \"next\"", "needs a table `[response]`"),
        (&minimal("[response]\nstatus = 200"), "has no table `[response]`"),
        (&minimal("[request]\nurl = \"/\""), "unknown field `url`"),
        (&minimal("[request]\nuri = \"a\""), "must start with `/`"),
        (&minimal("[request]\nscheme = \"ftp\""), "no scheme"),
        (&minimal("[request]\nmethod = \"G T\""), "no request"),
        (&minimal("[request]\nheaders = { \"a b\" = \"1\" }"), "no header name"),
        (&minimal("[request]\nheaders = { a = 1 }"), "a string or a list of strings"),
        (&minimal("now = 2026-01-01"), "no moment"),
        (&minimal("[budget]\nsize = \"10M\""), "did you mean `MiB`?"),
        (&minimal("[viewer]\nhttp_version = \"3\""), "no HTTP version"),
        (&minimal("[viewer]\ncountry = \"UK\""), "`UK` is not a country code: write `GB` for the United Kingdom"),
        (&minimal("[viewer]\ncountry = \"XX\""), "`XX` is not a country code"),
        (&minimal("[viewer]\ncontinent = \"EUROPE\""), "`EUROPE` is not a continent: they are `AF`"),
        (&minimal("[viewer]\ncontry = \"CH\""), "did you mean `country`?"),
        (
            "stage = \"viewer-request\"\n[expect]\nfault = \"traps\"",
            "`traps` is no fault of a call: did you mean `trap`?",
        ),
        ("stage = \"viewer-request\"\n[expect]\nfault = \"crash\"", "`crash` is no fault of a call: there are `trap`"),
    ] {
        let message = refused(text);
        assert!(message.contains(word), "{text}: {message}");
    }
}

#[test]
fn mistakes_are_shown_where_they_are() {
    let text = "stage = \"viewer-request\"\n\n[expect]\nverdit = \"next\"\n";
    assert_eq!(
        refused(text),
        "error[case]: unknown field `verdit`\n --> a.toml:4:1\n  |\n4 | verdit = \"next\"\n  | ^^^^^^\n  |\n  \
         = help: did you mean `verdict`?\n\na.toml: 1 error\n"
    );
    let shown = refused("stage = \"viewer-reqest\"\n[expect]\nverdict = \"next\"\n");
    assert!(shown.contains("a.toml:1:9") && shown.contains("did you mean `viewer-request`?"), "{shown}");
    let shown = refused(&minimal("[request]\nmethod = \"GET\"\nscheme = \"ftp\""));
    assert!(shown.contains("a.toml:4:10") && shown.contains("scheme = \"ftp\""), "{shown}");
}

#[test]
fn the_case_in_the_book_is_one() {
    let book =
        concat!(include_str!("../../../../../docs/hooks.md"), include_str!("../../../../../docs/hooks-workshop.md"));
    let blocks = book.split("```toml\n").skip(1).filter_map(|block| block.split("```").next());
    let cases: Vec<_> = blocks.filter(|block| block.trim_start().starts_with("stage = ")).collect();
    assert!(cases.iter().any(|case| case.contains("[budget]")), "the whole case is among them");
    for case in cases {
        let lines: String =
            case.lines().map(|line| format!("{}\n", line.strip_prefix("   ").unwrap_or(line))).collect();
        let read = Case::load(Path::new("a.toml"), &lines).err();
        assert!(read.is_none(), "{read:?}\n{lines}");
    }
}
