use super::*;

fn find(lines: &str, path: &str) -> Option<(String, Option<u16>)> {
    let table = Table::of(lines.to_owned()).expect("a table");
    let found = table.find(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    found.map(|(target, status)| (target.text().to_owned(), status))
}

fn to(target: &str, status: Option<u16>) -> Option<(String, Option<u16>)> {
    Some((target.to_owned(), status))
}

const LINES: &str = "/first /1\n# /comment /2\n/two   https://x.test/  302 \r\n\n/a /b\n/a/b /c\n/last /end";

#[test]
fn lines_are_found_whole() {
    assert_eq!(find(LINES, "/first"), to("/1", None));
    assert_eq!(find(LINES, "/two"), to("https://x.test/", Some(302)));
    assert_eq!(find(LINES, "/a"), to("/b", None));
    assert_eq!(find(LINES, "/a/b"), to("/c", None));
    assert_eq!(find(LINES, "/last"), to("/end", None));
    for path in ["/", "/b", "/comment", "/1", "/firs", "/first/", "/n/a", "/end", "/a /b", "/a\\n/last", "/tw"] {
        assert_eq!(find(LINES, path), None, "{path}");
    }
    assert_eq!(find("", "/"), None);
}

#[test]
fn escapes_are_not_line_breaks() {
    // What stands in JSON as `\\n/x /y` is a backslash and an n.
    assert_eq!(find("/a /b\\n/x /y", "/x"), None);
    assert_eq!(find("# \"quoted\" \\\n/x /y", "/x"), to("/y", None), "a backslash before a real break");
}

#[test]
fn a_wrong_line_is_told_where_it_is_used_and_by_the_check() {
    let lines =
        ["/a", "/a /a", "/b /c\n/b /d", "/a //evil.test", "/a /b 200", "/a /b x", "/a /b 301 x", " /a /b", "/a\t/b"];
    for line in lines {
        let table = Table::of(format!("# x\n/ok /fine\n{line}")).expect("a table");
        let error = table.check().expect_err(line);
        let at = if line.contains('\n') { "line 4: " } else { "line 3: " };
        assert!(error.message().starts_with(at), "{line}: {error}");
        assert!(table.find("/ok").expect("another line").is_some());
    }
    assert!(Table::of("/a //evil.test".to_owned()).expect("a table").find("/a").is_err());
    assert!(Table::of(LINES.to_owned()).expect("a table").check().is_ok());
}

#[test]
fn the_table_is_cut_out_of_the_settings() {
    let (rest, table) = Table::cut(r#"{"status":301,"table":"/a \"\\\" /b\\","x":"y"}"#);
    assert_eq!(rest, r#"{"status":301,"table":"","x":"y"}"#);
    assert_eq!(table.expect("a table").0, r#"/a \"\\\" /b\\"#);
    let long = "/a /b\\n".repeat(2000);
    let text = format!(r#"{{"table":"{long}"}}"#);
    assert_eq!(Table::cut(&text).1.expect("a table").0, long);
    let text = format!(r#"{{"table":"{long}","tables":"x"}}"#);
    assert_eq!(Table::cut(&text).0, r#"{"table":"","tables":"x"}"#, "a key behind a long table is seen");
    assert!(Table::cut(r#"{"a":"\"table\":\"x"}"#).1.is_none());
    assert!(Table::cut(r#"{"table":"open"#).1.is_none());
}
