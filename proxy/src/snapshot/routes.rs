//! Which behavior takes a path: the first in order whose pattern matches, found without trying all of them.
//!
//! Patterns are sorted by the text that they begin with, and those that begin with the same by the text that they end with
//! ([`Affixes`]): only patterns whose two texts a path has are tried, in order, up to the first that takes it. Where many
//! patterns have the same two texts (`*/feeds/*`), one pass of an Aho-Corasick automaton over the path leaves those whose
//! middle it has. Patterns without wildcards are looked up by the whole path. Costs memory in proportion to the patterns.
//!
//! Knows patterns and their order only: whether one takes a request after all, its conditions, say those who ask.

use std::collections::HashMap;

use aho_corasick::AhoCorasick;
use edgeweir_config::units::PathPattern;

/// Up to so many behaviors are tried one by one: that is as fast.
const FEW: usize = 8;

/// Longest pattern in bytes, with the leading slash that may be left out.
const MAX_PATTERN: usize = 256;

/// Patterns that begin with the same text, by the text that they end with: their place in the order and their middle.
type BySuffix<'p> = HashMap<&'p str, Vec<(usize, Option<&'p str>)>>;

/// An index over the patterns of a distribution's behaviors, in their order.
#[derive(Debug, Default)]
pub struct Routes {
    count: usize,
    /// Empty for a few patterns.
    exact: HashMap<Box<str>, Vec<usize>>,
    affixes: Affixes<Affixes<Bucket>>,
}

impl Routes {
    /// Indexes patterns.
    #[must_use]
    pub fn new<'p>(patterns: impl ExactSizeIterator<Item = &'p PathPattern>) -> Self {
        let count = patterns.len();
        if count <= FEW {
            return Self { count, ..Self::default() };
        }
        let mut exact: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        let mut rest: HashMap<&str, BySuffix<'_>> = HashMap::new();
        for (at, pattern) in patterns.enumerate() {
            let literals = pattern.literals();
            if literals.whole {
                exact.entry(literals.prefix.into()).or_default().push(at);
            } else {
                let same = rest.entry(literals.prefix).or_default().entry(literals.suffix).or_default();
                same.push((at, literals.middle));
            }
        }
        let by_suffix = |same: BySuffix<'p>| {
            Affixes::new(End::Back, same.into_iter().map(|(suffix, all)| (suffix, Bucket::new(&all))))
        };
        let affixes = Affixes::new(End::Front, rest.into_iter().map(|(prefix, same)| (prefix, by_suffix(same))));
        Self { count, exact, affixes }
    }

    /// The first behavior that takes a path. `takes` is asked of some of those whose pattern may match, in any order, and
    /// says of one whether its pattern matches and it takes the request; of each it must always say the same.
    pub fn find(&self, path: &str, mut takes: impl FnMut(usize) -> bool) -> Option<usize> {
        if self.count <= FEW {
            return (0..self.count).find(|at| takes(*at));
        }
        let mut best = usize::MAX;
        // No pattern is longer; to hash a path of some kilobytes would be a waste.
        if path.len() <= MAX_PATTERN
            && let Some(same) = self.exact.get(path)
        {
            first(same, &mut best, &mut takes);
        }
        self.affixes.of(path.as_bytes(), |by_suffix| {
            by_suffix.of(path.as_bytes(), |bucket| bucket.find(path, &mut best, &mut takes));
        });
        (best != usize::MAX).then_some(best)
    }
}

/// Looks in a list in order for one that is before the best so far and takes the request.
fn first(list: &[usize], best: &mut usize, takes: &mut impl FnMut(usize) -> bool) {
    for &at in list {
        if at >= *best {
            return;
        }
        if takes(at) {
            *best = at;
            return;
        }
    }
}

/// Patterns that begin and end with the same texts.
#[derive(Debug)]
struct Bucket {
    /// Tried one by one, in order.
    plain: Vec<usize>,
    /// Of those with a text in the middle, if there are many.
    middles: Option<Box<Middles>>,
}

impl Bucket {
    fn new(all: &[(usize, Option<&str>)]) -> Self {
        let with_middle = all.iter().filter(|(_, middle)| middle.is_some()).count();
        // Without an automaton they are tried one by one, which is right too.
        let middles = if with_middle > FEW { Middles::new(all) } else { None };
        let kept = all.iter().filter(|(_, middle)| middles.is_none() || middle.is_none());
        Self { plain: kept.map(|(at, _)| *at).collect(), middles: middles.map(Box::new) }
    }

    fn find(&self, path: &str, best: &mut usize, takes: &mut impl FnMut(usize) -> bool) {
        first(&self.plain, best, takes);
        if let Some(middles) = &self.middles {
            for found in middles.automaton.find_overlapping_iter(path) {
                if let Some(list) = middles.lists.get(found.pattern().as_usize()) {
                    first(list, best, takes);
                }
            }
        }
    }
}

#[derive(Debug)]
struct Middles {
    automaton: AhoCorasick,
    /// The patterns of each text, in order.
    lists: Vec<Vec<usize>>,
}

impl Middles {
    fn new(all: &[(usize, Option<&str>)]) -> Option<Self> {
        let mut by_text: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, middle) in all {
            if let Some(middle) = middle {
                by_text.entry(middle).or_default().push(*at);
            }
        }
        let (texts, lists): (Vec<_>, Vec<_>) = by_text.into_iter().unzip();
        let automaton = AhoCorasick::builder().build(&texts).ok()?;
        Some(Self { automaton, lists })
    }
}

/// Where a text stands in a path.
#[derive(Debug, Clone, Copy, Default)]
enum End {
    #[default]
    Front,
    Back,
}

/// A table of texts, to find all that a path begins with, or ends with: sorted, so that the longest is found by halving and
/// the others by going from each to the longest that it begins (ends) with itself.
#[derive(Debug)]
struct Affixes<T> {
    end: End,
    /// Sorted; from the back, if that is the end.
    entries: Vec<Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    text: Box<[u8]>,
    /// The longest other text that this one begins (ends) with.
    within: Option<usize>,
    value: T,
}

impl<T> Default for Affixes<T> {
    fn default() -> Self {
        Self { end: End::Front, entries: Vec::new() }
    }
}

impl End {
    fn compare(self, one: &[u8], two: &[u8]) -> std::cmp::Ordering {
        match self {
            Self::Front => one.cmp(two),
            Self::Back => one.iter().rev().cmp(two.iter().rev()),
        }
    }

    fn has(self, path: &[u8], text: &[u8]) -> bool {
        match self {
            Self::Front => path.starts_with(text),
            Self::Back => path.ends_with(text),
        }
    }
}

impl<T> Affixes<T> {
    fn new<'t>(end: End, texts: impl Iterator<Item = (&'t str, T)>) -> Self {
        let mut entries: Vec<Entry<T>> =
            texts.map(|(text, value)| Entry { text: text.as_bytes().into(), within: None, value }).collect();
        entries.sort_by(|one, two| end.compare(&one.text, &two.text));
        // Those that the one before begins with, from the longest to the shortest.
        let mut open: Vec<usize> = Vec::new();
        for at in 0..entries.len() {
            let has = |outer: &usize| {
                let (outer, inner) = (entries.get(*outer), entries.get(at));
                outer.zip(inner).is_some_and(|(outer, inner)| end.has(&inner.text, &outer.text))
            };
            while open.last().is_some_and(|outer| !has(outer)) {
                open.pop();
            }
            let within = open.last().copied();
            if let Some(entry) = entries.get_mut(at) {
                entry.within = within;
            }
            open.push(at);
        }
        Self { end, entries }
    }

    /// Calls `each` with all whose text a path has at the end in question, the longest first.
    fn of(&self, path: &[u8], mut each: impl FnMut(&T)) {
        // All that the path has are at or before it in the order, each within the next: whatever lies between one and the
        // path begins with that one, too.
        let before = self.entries.partition_point(|entry| self.end.compare(&entry.text, path).is_le());
        let mut next = before.checked_sub(1);
        while let Some(entry) = next.and_then(|at| self.entries.get(at)) {
            if self.end.has(path, &entry.text) {
                each(&entry.value);
            }
            next = entry.within;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patterns(texts: &[String]) -> Vec<PathPattern> {
        texts.iter().filter_map(|text| PathPattern::parse(text).ok()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_first_that_matches_is_found(
            texts in prop::collection::vec("[ab/*?.]{1,6}", 0..60),
            paths in prop::collection::vec("/[ab/.]{0,8}", 1..20),
            refused in prop::collection::vec(any::<bool>(), 60),
        ) {
            let patterns = patterns(&texts);
            let routes = Routes::new(patterns.iter());
            for path in paths {
                let naive = patterns.iter().position(|pattern| pattern.matches(&path));
                let found = routes.find(&path, |at| patterns[at].matches(&path));
                prop_assert_eq!(found, naive, "{} of {:?}", path, patterns);
                // Some do not take the request for another reason.
                let takes = |at: usize| !refused[at] && patterns[at].matches(&path);
                let naive = (0..patterns.len()).find(|at| takes(*at));
                prop_assert_eq!(routes.find(&path, takes), naive, "{} of {:?}", path, patterns);
            }
        }
    }

    #[test]
    fn few_patterns_are_tried_of_many() {
        let mut texts: Vec<String> = Vec::new();
        for at in 0..2_500 {
            texts.push(format!("/site{at}/*"));
            texts.push(format!("*.ext{at}"));
            texts.push(format!("/exact/{at}"));
            texts.push(format!("*/feed{at}-x/*"));
        }
        texts.push("*".to_owned());
        let patterns = patterns(&texts);
        assert_eq!(patterns.len(), 10_001);
        let routes = Routes::new(patterns.iter());
        for (path, wanted) in [
            ("/site2400/a/b", "/site2400/*"),
            ("/else/a.ext17", "*.ext17"),
            ("/exact/1234", "/exact/1234"),
            ("/x/feed99-x/y", "*/feed99-x/*"),
            ("/else", "*"),
        ] {
            let mut tried = 0;
            let found = routes.find(path, |at| {
                tried += 1;
                patterns[at].matches(path)
            });
            assert_eq!(found.map(|at| patterns[at].as_str()), Some(wanted), "{path}");
            assert!(tried <= 3, "{tried} patterns were tried for {path}");
        }
    }
}
