//! Origins and their groups.

use std::collections::HashMap;
use std::sync::Arc;

use edgeweir_config::{self as model, OriginGroupId, OriginId, Target};
use http::{HeaderName, HeaderValue};

use super::{Builder, Materials, secret};
use crate::origin::{Origin, OriginGroup, Outside, Trust, own_host};
use crate::telemetry::metrics::Metrics;

impl Builder<'_> {
    /// As many as there are in the config, unless there is a problem.
    pub(super) fn origins(&mut self, config: &model::Config) -> Vec<Arc<Origin>> {
        let mut origins = Vec::with_capacity(config.origins.len());
        for origin in &config.origins {
            let mut headers = Vec::with_capacity(origin.headers.len());
            for (name, source) in &origin.headers {
                let value = secret(source, self.materials.env);
                let path = ["origins", &origin.name, "headers", name.as_str()];
                let name = HeaderName::from_bytes(name.as_bytes());
                match (name, value.map(|value| HeaderValue::from_str(&value))) {
                    (Ok(name), Ok(Ok(mut value))) => {
                        value.set_sensitive(true);
                        headers.push((name, value));
                    }
                    (Err(_), _) => {
                        let text = format!("origin `{}`: a header name is not valid", origin.name);
                        self.problem_at(config, &path, text);
                    }
                    (_, Ok(Err(_))) => {
                        let text = format!(
                            "origin `{}`: the value of a header has bytes that no header can carry",
                            origin.name
                        );
                        self.problem_at(config, &path, text);
                    }
                    (_, Err(problem)) => {
                        self.problem_at(config, &path, format!("origin `{}`: {problem}", origin.name));
                    }
                }
            }
            let host_header = match &origin.host_header {
                model::HostHeader::Viewer => None,
                model::HostHeader::Fixed(text) => Some(text.clone()),
                model::HostHeader::Origin => Some(own_host(origin)),
            };
            let host_header =
                host_header.map(|text| HeaderValue::from_str(&text)).transpose().unwrap_or_else(|_invalid| {
                    let text = format!("origin `{}`: its host header has bytes that no header can carry", origin.name);
                    self.problem_at(config, &["origins", &origin.name, "host_header"], text);
                    None
                });
            let old = self.old.and_then(|old| old.origins.iter().find(|old| old.config.name == origin.name));
            let outside = outside(self.materials);
            let made = Origin::new(origin.clone(), host_header, headers, old.map(|old| &**old), outside)
                .with_metrics(self.materials.metrics.origin(&origin.name));
            let made = match Trust::open(&origin.trust) {
                Ok(trust) => made.with_trust(&trust),
                Err(error) => {
                    let text = format!("origin `{}`: {error}", origin.name);
                    self.problem_at(config, &["origins", &origin.name, "tls", error.key], text);
                    made
                }
            };
            let made = self.special_origin(config, made, old.map(|old| &**old));
            let grouped = config.origin_groups.iter().any(|group| group.members.contains(&OriginId(origins.len())));
            origins.push(Arc::new(if grouped { made.in_group() } else { made }));
        }
        origins
    }
}

/// What origins need of the world.
pub(super) fn outside(materials: &Materials<'_>) -> Outside {
    Outside { clock: Arc::clone(materials.clock), resolver: Arc::clone(materials.resolver) }
}

/// Origins and groups by name. No origin and group have the same.
pub(super) fn names(config: &model::Config) -> HashMap<Box<str>, Target> {
    let origins = config.origins.iter().enumerate();
    let origins = origins.map(|(at, origin)| (origin.name.as_str().into(), Target::Origin(OriginId(at))));
    let groups = config.origin_groups.iter().enumerate();
    let groups = groups.map(|(at, group)| (group.name.as_str().into(), Target::Group(OriginGroupId(at))));
    origins.chain(groups).collect()
}

/// The groups of these origins.
pub(super) fn groups(config: &model::Config, origins: &[Arc<Origin>], metrics: &Metrics) -> Vec<OriginGroup> {
    let group = |group: &model::OriginGroup| OriginGroup {
        name: group.name.as_str().into(),
        members: group.members.iter().filter_map(|id| origins.get(id.0).map(Arc::clone)).collect(),
        statuses: group.statuses.clone(),
        metrics: metrics.origin_group(&group.name),
    };
    config.origin_groups.iter().map(group).collect()
}
