//! The names of a file: which exist, at which index, and which are used.

use std::cell::Cell;
use std::ops::Range;

use toml::Spanned;

use crate::decode::{Field, Named, Opt, Text};
use crate::model::{OriginGroupId, OriginId, Target};
use crate::report::{Problem, Report};
use crate::schema::File;
use crate::suggest;

/// The names of one kind of thing.
pub(super) struct Kind {
    /// As messages call it.
    what: &'static str,
    /// In the order of the model; `None` if the table could not be read, so that nothing is known.
    known: Option<Vec<Name>>,
}

struct Name {
    text: String,
    span: Range<usize>,
    used: Cell<bool>,
}

/// All names.
pub(super) struct Names {
    /// Of origins.
    pub(super) origins: Kind,
    /// Of groups of origins.
    pub(super) groups: Kind,
    /// Of cache policies, without presets.
    pub(super) policies: Kind,
    /// Of hooks.
    pub(super) hooks: Kind,
    /// Of key-value stores.
    pub(super) key_value_stores: Kind,
    /// Of key sets.
    pub(super) jwks: Kind,
    /// Of keys for signed URLs.
    pub(super) public_keys: Kind,
    /// Of groups of them.
    pub(super) key_groups: Kind,
    /// Of response headers policies, without presets.
    pub(super) headers_policies: Kind,
    /// Of usage plans.
    pub(super) plans: Kind,
    /// Of distributions.
    pub(super) distributions: Kind,
}

impl Names {
    /// Collects the names of a file.
    pub(super) fn of(file: &File) -> Self {
        Self {
            origins: Kind::of("origin", &file.origins),
            groups: Kind::of("origin group", &file.origin_groups),
            policies: Kind::of("cache policy", &file.cache_policies),
            hooks: Kind::of("hook", &file.hooks),
            key_value_stores: Kind::of("key-value store", &file.key_value_stores),
            jwks: Kind::of("key set", &file.jwks),
            public_keys: Kind::of("public key", &file.public_keys),
            key_groups: Kind::of("key group", &file.key_groups),
            headers_policies: Kind::of("response headers policy", &file.response_headers_policies),
            plans: Kind::of("usage plan", &file.usage_plans),
            distributions: Kind::of("distribution", &file.distributions),
        }
    }

    /// The index of an origin that must exist, where a group will not do.
    pub(super) fn origin(&self, name: &Spanned<Text>, out: &mut Report) -> usize {
        let text = name.get_ref().0.as_str();
        let is = |kind: &Kind| kind.known.iter().flatten().any(|known| known.text == text);
        if is(&self.groups) && !is(&self.origins) {
            out.push(
                Problem::error("unknown-name", name.span(), format!("`{text}` is a group of origins"))
                    .help("name one of its members: only one origin can be asked here"),
            );
            return 0;
        }
        self.origins.find(name, &[], out)
    }

    /// The origin or group of a name that must exist.
    pub(super) fn target(&self, name: &Spanned<Text>, out: &mut Report) -> Target {
        let text = name.get_ref().0.as_str();
        if let Some(index) = self.groups.index(text) {
            return Target::Group(OriginGroupId(index));
        }
        let Some(groups) = &self.groups.known else {
            // A table of groups that could not be read may have it.
            return Target::Origin(OriginId(self.origins.index(text).unwrap_or(0)));
        };
        let groups: Vec<&str> = groups.iter().map(|group| group.text.as_str()).collect();
        Target::Origin(OriginId(self.origins.find(name, &groups, out)))
    }

    /// Warns about what no distribution uses. Usage plans are used by keys that are not in the file.
    pub(super) fn report_unused(&self, out: &mut Report) {
        let more = [&self.public_keys, &self.key_groups, &self.headers_policies];
        let others = [&self.origins, &self.groups, &self.policies, &self.hooks, &self.key_value_stores, &self.jwks];
        for kind in others.into_iter().chain(more) {
            for name in kind.known.iter().flatten().filter(|name| !name.used.get()) {
                let message = format!("the {} `{}` is never used", kind.what, name.text);
                out.push(Problem::warning("unused", name.span.clone(), message));
            }
        }
    }
}

impl Kind {
    fn of<T>(what: &'static str, table: &Opt<Named<T>>) -> Self {
        let name =
            |name: &Spanned<String>| Name { text: name.get_ref().clone(), span: name.span(), used: Cell::new(false) };
        let known = match table {
            Field::Given(named) => Some(named.get_ref().names().map(name).collect()),
            Field::Absent => Some(Vec::new()),
            Field::Broken => None,
        };
        Self { what, known }
    }

    /// The index of a name that must exist; reports it if it does not. `more` are names outside of the file.
    pub(super) fn find(&self, name: &Spanned<Text>, more: &[&str], out: &mut Report) -> usize {
        let text = name.get_ref().0.as_str();
        let Some(known) = &self.known else { return 0 };
        if let Some(index) = self.index(text) {
            return index;
        }
        let help = match suggest::did_you_mean(
            text,
            known.iter().map(|k| k.text.as_str()).chain(more.iter().copied()),
            "names",
        ) {
            None if known.is_empty() => Some(format!("there is no {} in this file", self.what)),
            help => help,
        };
        let shown = text.escape_debug();
        out.push(
            Problem::error("unknown-name", name.span(), format!("unknown {} `{shown}`", self.what)).maybe_help(help),
        );
        0
    }

    /// The index of a name, which is now used.
    pub(super) fn index(&self, text: &str) -> Option<usize> {
        let known = self.known.as_ref()?;
        let index = known.iter().position(|k| k.text == text)?;
        if let Some(name) = known.get(index) {
            name.used.set(true);
        }
        Some(index)
    }

    /// Marks names as used.
    pub(super) fn use_all(&self, is_used: impl Fn(&str) -> bool) {
        for name in self.known.iter().flatten().filter(|name| is_used(&name.text)) {
            name.used.set(true);
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.known.as_ref().map_or(0, Vec::len)
    }
}
