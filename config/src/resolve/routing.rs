//! Conditions, geo restriction and viewer protocol of distributions and behaviors.

use crate::decode::List;
use crate::model::{Conditions, GeoList, GeoRestriction, UnknownViewer, ViewerProtocol, ViewerProtocolPolicy};
use crate::schema::{self, Wanted};
use crate::units::TextPattern;

/// The behavior's own settings go before the distribution's, each by itself.
pub(super) fn viewer_protocol(behavior: &schema::Behavior, distribution: &schema::Distribution) -> ViewerProtocol {
    let policy = behavior.viewer_protocol_policy.value().or(distribution.viewer_protocol_policy.value());
    let status = behavior.redirect_status.value().or(distribution.redirect_status.value());
    let port = behavior.https_port.value().or(distribution.https_port.value());
    ViewerProtocol {
        policy: policy.copied().unwrap_or(ViewerProtocolPolicy::AllowAll),
        redirect_status: status.map(|status| status.0),
        https_port: port.and_then(|port| u16::try_from(port.0).ok()).unwrap_or(443),
    }
}

/// None where nobody is refused.
pub(super) fn geo_restriction(written: Option<&schema::GeoRestriction>) -> Option<GeoRestriction> {
    let written = written?;
    let (allow, deny) = (written.allow.value().map(geo_list), written.deny.value().map(geo_list));
    let usual = if allow.is_some() { UnknownViewer::Deny } else { UnknownViewer::Allow };
    let unknown = written.unknown.value().copied().unwrap_or(usual);
    (allow.is_some() || deny.is_some()).then_some(GeoRestriction { allow, deny, unknown })
}

fn items<T, U>(list: Option<&List<T>>, of: impl Fn(&T) -> U) -> Vec<U> {
    list.map(|list| list.items.iter().map(|item| of(item.get_ref())).collect()).unwrap_or_default()
}

fn geo_list(written: &schema::GeoList) -> GeoList {
    GeoList {
        countries: items(written.countries.value(), |country| country.0.clone()),
        continents: items(written.continents.value(), |continent| *continent),
        asns: items(written.asns.value(), |asn| asn.as_u32()),
        cidrs: items(written.cidrs.value(), |network| network.0),
    }
}

pub(super) fn conditions(written: Option<&schema::Match>) -> Conditions {
    let Some(written) = written else { return Conditions::default() };
    let wanted = |wanted: Option<&Wanted>, lower: bool| -> Vec<(String, Vec<TextPattern>)> {
        let all = wanted.map_or(&[][..], |wanted| wanted.0.as_slice()).iter().map(|(name, patterns)| {
            let name = name.get_ref();
            let name = if lower { name.to_ascii_lowercase() } else { name.clone() };
            (name, patterns.iter().map(|pattern| pattern.get_ref().0.clone()).collect())
        });
        all.collect()
    };
    let sorted = |mut list: Vec<String>| {
        list.sort_unstable();
        list
    };
    Conditions {
        headers: wanted(written.headers.value(), true),
        cookies: wanted(written.cookies.value(), false),
        query: wanted(written.query.value(), false),
        methods: sorted(items(written.methods.value(), |method| method.0.clone())),
        countries: sorted(items(written.countries.value(), |country| country.0.clone())),
    }
}
