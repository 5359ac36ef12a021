//! The class of a device by its `user-agent`, as `CloudFront-Is-…-Viewer` would tell it ("Add CloudFront request headers").
//! woothee knows agents; it knows neither tablets nor televisions, whose marks are looked for here.

/// Bytes of an agent that are looked at: real ones are shorter.
const MAX_AGENT: usize = 512;

/// Marks of televisions and what is plugged into them.
const TELEVISIONS: [&str; 13] = [
    "smart-tv",
    "smarttv",
    "smart tv",
    "appletv",
    "apple tv",
    "googletv",
    "google tv",
    "android tv",
    "hbbtv",
    "netcast",
    "web0s",
    "crkey",
    "roku",
];
/// Marks of tablets that do not say so otherwise.
const TABLETS: [&str; 6] = ["ipad", "tablet", "kindle", "silk/", "playbook", "sm-t"];
/// Marks of programs that no list of crawlers names.
const PROGRAMS: [&str; 8] =
    ["bot", "crawler", "spider", "curl/", "wget/", "python-requests", "go-http-client", "headlesschrome"];

/// `desktop`, `mobile`, `tablet`, `tv`, `bot` or `unknown`.
pub(super) fn class(agent: &[u8]) -> &'static str {
    let agent = agent.get(..MAX_AGENT).unwrap_or(agent);
    let Ok(agent) = std::str::from_utf8(agent) else { return "unknown" };
    let lower = agent.to_ascii_lowercase();
    let has = |marks: &[&str]| marks.iter().any(|mark| lower.contains(mark));
    let known = woothee::parser::Parser::new().parse(agent);
    let (category, os) = known.map_or(("", ""), |known| (known.category, known.os));
    if category == "crawler" || has(&PROGRAMS) {
        "bot"
    } else if has(&TELEVISIONS) || lower.starts_with("aft") || lower.contains("; aft") {
        "tv"
    } else if has(&TABLETS) || (lower.contains("android") && !lower.contains("mobile")) {
        // Google's advice to makers: a phone says `Mobile`, a tablet does not.
        "tablet"
    } else if matches!(category, "smartphone" | "mobilephone") || os == "iPhone" {
        "mobile"
    } else if category == "pc" {
        "desktop"
    } else {
        "unknown"
    }
}

#[cfg(test)]
mod tests {
    use super::class;

    #[test]
    fn agents_of_each_class() {
        let table = [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
                "desktop",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
                "desktop",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", "desktop"),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
                "mobile",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
                "mobile",
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 12_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1 Mobile/15E148 Safari/604.1",
                "tablet",
            ),
            (
                "Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
                "tablet",
            ),
            (
                "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) Version/6.0 TV Safari/537.36",
                "tv",
            ),
            (
                "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/79.0.3945.79 Safari/537.36",
                "tv",
            ),
            (
                "Mozilla/5.0 (Linux; Android 9; AFTMM) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/108.0.0.0 Safari/537.36",
                "tv",
            ),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bot"),
            ("curl/8.7.1", "bot"),
            ("", "unknown"),
            ("nothing anybody knows", "unknown"),
        ];
        for (agent, wanted) in table {
            assert_eq!(class(agent.as_bytes()), wanted, "{agent}");
        }
        assert_eq!(class(&[0xff, 0xfe]), "unknown");
        assert_eq!(class("é".repeat(1000).as_bytes()), "unknown", "cut inside of a character or not");
    }
}
