//! "Did you mean": the known word that is nearest to an unknown one. Knows nothing about configurations.

/// The word of `known` that `word` is probably a misspelling of. Upper and lower case, `-` and `_` count as equal.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Numbers are chosen, not misspelt: `1.1` does not mean `1.2`.
    if !word.contains(char::is_alphabetic) {
        return None;
    }
    let word = fold(word);
    // One mistake in three characters; transposed letters are one mistake.
    let limit = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&word, &fold(candidate)), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The help text for an unknown word: the nearest known one, else all that are known (if they are few).
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>, what: &str) -> Option<String> {
    /// More than this is a list nobody reads.
    const MOST: usize = 16;
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(near) = nearest(word, known.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    if known.is_empty() || known.len() > MOST {
        return None;
    }
    let list: Vec<String> = known.iter().map(|k| format!("`{k}`")).collect();
    Some(format!("known {what}: {}", list.join(", ")))
}

fn fold(word: &str) -> String {
    word.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["cache_policy", "origin", "methods", "url"];
        assert_eq!(nearest("cache-policy", known), Some("cache_policy"));
        assert_eq!(nearest("orgin", known), Some("origin"));
        assert_eq!(nearest("URL", known), Some("url"));
        assert_eq!(nearest("ulr", known), Some("url"));
        assert_eq!(nearest("backend", known), None);
    }

    #[test]
    fn without_a_near_word_all_are_listed() {
        assert_eq!(did_you_mean("x", ["one", "two"], "keys").as_deref(), Some("known keys: `one`, `two`"));
        assert_eq!(did_you_mean("x", [], "keys"), None);
    }
}
