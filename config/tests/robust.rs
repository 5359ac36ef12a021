//! No text makes the parser or the renderer panic.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use std::path::Path;

use edgeweir_config::{Report, diff, parse, summary, text};
use proptest::prelude::*;

const EXAMPLES: [&str; 5] = [
    include_str!("../examples/demo.toml"),
    include_str!("../examples/cache.toml"),
    include_str!("../examples/tls.toml"),
    include_str!("../examples/hooks.toml"),
    include_str!("broken/wrong-types.toml"),
];

fn use_all(bytes: &[u8]) {
    let show = |report: &Report, source: &str| {
        let shown = report.render("e.toml", source, false);
        assert_eq!(shown.is_empty(), report.is_empty());
        assert!(report.render("e.toml", source, true).len() >= shown.len());
        let json: serde_json::Value = serde_json::from_str(&report.to_json("e.toml", source)).unwrap();
        assert_eq!(json.as_array().unwrap().len(), report.problems.len());
        for problem in &report.problems {
            assert!(problem.span.start <= problem.span.end && problem.span.end <= source.len(), "{problem:?}");
        }
    };
    let source = match text(bytes) {
        Ok(source) => source,
        Err(bad) => return show(&bad.report, &bad.text),
    };
    match parse(source, Path::new("/base")) {
        Ok(parsed) => {
            show(&parsed.warnings, source);
            assert!(!parsed.config.distributions.is_empty());
            assert!(parsed.config.distributions.iter().all(|d| !d.behaviors.is_empty()));
            assert!(!summary(&parsed.config).is_empty());
            assert_eq!(diff(&parsed.config, &parsed.config), []);
        }
        Err(report) => {
            assert!(report.has_errors());
            show(&report, source);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text(source in "(?s).{0,200}") {
        use_all(source.as_bytes());
    }

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        use_all(&bytes);
    }

    /// A cut, a copy or another character somewhere in a real configuration.
    #[test]
    fn damaged_examples(
        which in 0..EXAMPLES.len(),
        start in any::<prop::sample::Index>(),
        length in 0..40_usize,
        put in r#"(|\[|\]|\{|"|'|=|\n|é|5|-1|nan|true|x|[ -~]{0,6})"#,
    ) {
        let mut bytes = EXAMPLES[which].as_bytes().to_vec();
        let start = start.index(bytes.len());
        let end = (start + length).min(bytes.len());
        bytes.splice(start..end, put.bytes());
        use_all(&bytes);
    }
}

#[test]
fn deep_and_long_texts() {
    use_all("[".repeat(100_000).as_bytes());
    use_all(format!("a = {}", "[".repeat(10_000)).as_bytes());
    use_all(format!("a{} = 1", ".a".repeat(10_000)).as_bytes());
    use_all(&vec![b'#'; edgeweir_config::MAX_BYTES + 1]);
    use_all("\u{feff}".as_bytes());
    use_all(b"\r\n\t\r\n");
}
