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

/// What a `user-agent` tells of a device. Of the first three at most one is true; a crawler that says which device it
/// stands for counts as that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Device {
    /// A phone.
    pub mobile: bool,
    /// A tablet.
    pub tablet: bool,
    /// A television, or what is plugged into one.
    pub tv: bool,
    /// It runs Android.
    pub android: bool,
    /// It runs iOS or iPadOS.
    pub ios: bool,
    /// What it is called for hooks.
    class: Option<&'static str>,
}

impl Device {
    /// None of the others: also what nobody knows, so that a page for desktops is what it gets.
    #[must_use]
    pub fn desktop(self) -> bool {
        !(self.mobile || self.tablet || self.tv)
    }
}

/// What a `user-agent` tells of a device. Costs some microseconds.
#[must_use]
pub fn device(agent: &[u8]) -> Device {
    let agent = agent.get(..MAX_AGENT).unwrap_or(agent);
    let Ok(agent) = std::str::from_utf8(agent) else { return Device::default() };
    let lower = agent.to_ascii_lowercase();
    let has = |marks: &[&str]| marks.iter().any(|mark| lower.contains(mark));
    let known = woothee::parser::Parser::new().parse(agent);
    let (category, os) = known.map_or(("", ""), |known| (known.category, known.os));
    let ios = has(&["iphone", "ipad", "ipod"]) || matches!(os, "iPhone" | "iPad" | "iPod" | "iOS");
    let android = !ios && lower.contains("android");
    let tv = has(&TELEVISIONS) || lower.starts_with("aft") || lower.contains("; aft");
    // Google's advice to makers: a phone says `Mobile`, a tablet does not.
    let tablet = !tv && (has(&TABLETS) || (android && !lower.contains("mobile")));
    let phone = matches!(category, "smartphone" | "mobilephone") || os == "iPhone";
    let crawls = category == "crawler" || has(&PROGRAMS);
    let mobile = !tv && !tablet && (phone || (crawls && (ios || (android && lower.contains("mobile")))));
    let class = match () {
        () if crawls => Some("bot"),
        () if tv => Some("tv"),
        () if tablet => Some("tablet"),
        () if mobile => Some("mobile"),
        () if category == "pc" => Some("desktop"),
        () => None,
    };
    Device { mobile, tablet, tv, android, ios, class }
}

/// `desktop`, `mobile`, `tablet`, `tv`, `bot` or `unknown`.
pub(super) fn class(agent: &[u8]) -> &'static str {
    device(agent).class.unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::{class, device};

    #[test]
    fn more_than_one_may_be_true() {
        for (agent, wanted) in [
            // Mobile, tablet, television, Android, iOS, desktop.
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Mobile/15E148 Safari/604.1",
                [true, false, false, false, true, false],
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 12_2 like Mac OS X) Mobile/15E148 Safari/604.1",
                [false, true, false, false, true, false],
            ),
            (
                "Mozilla/5.0 (Linux; Android 9; AFTMM) AppleWebKit/537.36 Safari/537.36",
                [false, false, true, true, false, false],
            ),
            (
                "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X) Chrome/126.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; \
                 +http://www.google.com/bot.html)",
                [true, false, false, true, false, false],
            ),
            ("curl/8.7.1", [false, false, false, false, false, true]),
            ("", [false, false, false, false, false, true]),
        ] {
            let device = device(agent.as_bytes());
            let found = [device.mobile, device.tablet, device.tv, device.android, device.ios, device.desktop()];
            assert_eq!(found, wanted, "{agent}");
        }
    }

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
