//! Which names of a query or cookie header a policy selects. It must not know what the names stand for.

/// A list of names to look up, case-sensitive as CloudFront's are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    sorted: Box<[Box<str>]>,
}

impl Names {
    /// Whether the list has `name`.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.sorted.binary_search_by(|known| known.as_bytes().cmp(name)).is_ok()
    }
}

impl<S: Into<Box<str>>> FromIterator<S> for Names {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let mut sorted: Vec<Box<str>> = names.into_iter().map(Into::into).collect();
        sorted.sort_unstable();
        sorted.dedup();
        Self { sorted: sorted.into() }
    }
}

/// What a policy takes of a request's query parameters or cookies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Selection {
    /// Nothing.
    #[default]
    None,
    /// Everything.
    All,
    /// Those listed.
    Only(Names),
    /// All but those listed.
    Except(Names),
}

impl Selection {
    /// Selects the names listed.
    pub fn only<S: Into<Box<str>>>(names: impl IntoIterator<Item = S>) -> Self {
        Self::Only(names.into_iter().collect())
    }

    /// Selects all names but those listed.
    pub fn except<S: Into<Box<str>>>(names: impl IntoIterator<Item = S>) -> Self {
        Self::Except(names.into_iter().collect())
    }

    /// Whether `name` is selected. Names are compared as sent: nothing is decoded.
    pub fn keeps(&self, name: &[u8]) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Only(names) => names.contains(name),
            Self::Except(names) => !names.contains(name),
        }
    }
}
