//! Interfaces `viewer` and `context`: who asks and where the hook runs.

use http::Version;

use super::device;
use crate::bindings::imports::{context, viewer};
use crate::state::CallState;
use crate::{Fact, GeoView};

impl CallState {
    fn geo(&mut self, fact: Fact) -> wasmtime::Result<Option<&dyn GeoView>> {
        self.read(fact);
        Ok(self.viewer()?.geo.as_deref())
    }
}

impl viewer::Host for CallState {
    fn address(&mut self) -> wasmtime::Result<String> {
        self.read(Fact::Address);
        Ok(self.viewer()?.address.to_string())
    }

    fn port(&mut self) -> wasmtime::Result<Option<u16>> {
        self.read(Fact::Address);
        Ok(self.viewer()?.port)
    }

    fn http_version(&mut self) -> wasmtime::Result<String> {
        self.read(Fact::Protocol);
        let version = match self.viewer()?.http_version {
            Version::HTTP_09 => "0.9",
            Version::HTTP_10 => "1.0",
            Version::HTTP_2 => "2.0",
            Version::HTTP_3 => "3.0",
            _ => "1.1",
        };
        Ok(version.into())
    }

    fn tls_version(&mut self) -> wasmtime::Result<Option<String>> {
        self.read(Fact::Protocol);
        Ok(self.viewer()?.tls_version.map(Into::into))
    }

    fn country(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.geo(Fact::Country)?.and_then(|geo| geo.country()).map(Into::into))
    }

    fn continent(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.geo(Fact::Continent)?.and_then(|geo| geo.continent()).map(Into::into))
    }

    fn region(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.geo(Fact::Region)?.and_then(|geo| geo.region()).map(Into::into))
    }

    fn city(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.geo(Fact::City)?.and_then(|geo| geo.city()).map(Into::into))
    }

    fn asn(&mut self) -> wasmtime::Result<Option<u32>> {
        Ok(self.geo(Fact::Asn)?.and_then(|geo| geo.asn()))
    }

    fn time_zone(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.geo(Fact::TimeZone)?.and_then(|geo| geo.time_zone()).map(Into::into))
    }

    fn coordinates(&mut self) -> wasmtime::Result<Option<(f64, f64)>> {
        Ok(self.geo(Fact::Coordinates)?.and_then(|geo| geo.coordinates()))
    }

    fn device(&mut self) -> wasmtime::Result<String> {
        self.read(Fact::Device);
        let agent = self.request()?.headers().get(http::header::USER_AGENT);
        Ok(agent.map_or("unknown", |agent| device::class(agent.as_bytes())).into())
    }
}

impl context::Host for CallState {
    fn distribution(&mut self) -> wasmtime::Result<String> {
        Ok((*self.call.facts.distribution).into())
    }

    fn behavior(&mut self) -> wasmtime::Result<String> {
        Ok((*self.call.facts.behavior).into())
    }

    fn origin(&mut self) -> wasmtime::Result<Option<String>> {
        self.current_stage()?;
        Ok(self.call.origin.as_ref().map(|origin| (*origin.name).into()))
    }

    fn stage(&mut self) -> wasmtime::Result<String> {
        let stage = self.bound_at.map_or_else(|| self.current_stage(), Ok)?;
        Ok(stage.as_str().into())
    }

    fn request_id(&mut self) -> wasmtime::Result<String> {
        self.read(Fact::RequestId);
        self.current_stage()?;
        Ok((*self.call.facts.request_id).into())
    }

    fn settings(&mut self) -> wasmtime::Result<String> {
        Ok((*self.call.settings).into())
    }

    fn note(&mut self) -> wasmtime::Result<Option<String>> {
        self.read(Fact::Note);
        self.current_stage()?;
        Ok(self.call.note.as_deref().map(Into::into))
    }

    fn principal(&mut self) -> wasmtime::Result<Option<String>> {
        self.read(Fact::Caller);
        self.current_stage()?;
        Ok(self.call.caller.as_ref().and_then(|caller| caller.principal()).map(Into::into))
    }

    fn authorizer(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        self.read(Fact::Caller);
        self.current_stage()?;
        Ok(self.call.caller.as_ref().and_then(|caller| caller.get(&name)).map(Into::into))
    }
}
