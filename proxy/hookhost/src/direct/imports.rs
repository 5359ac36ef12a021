//! The imported functions for core modules. What they do is what `host` does; here parameters are taken from the hook's
//! memory and results go there.
//!
//! A function whose result does not fit into one number returns it where its last parameter points to. It is linked with
//! another result than the hook knows: what has to be allocated first (`load::rewrite`).

use wasmtime::{Caller, Linker, Memory, Result, Trap};

use super::abi::{Flat, Lift, Param, Store};
use super::{Gate, State};
use crate::bindings::imports::types::GeneratedResponse;
use crate::bindings::imports::{
    body, clock, context, crypto, fetch, jwks, log, metrics, origins, random, request, response, viewer,
};
use crate::fault::Broken;
use crate::host::grants;
use crate::load::rewrite::{ALLOCATED, MACHINERY, RETURNED};
use crate::state::CallState;

type Own<'a> = Caller<'a, CallState>;

/// The functions that return by a number or not at all.
const BY_NUMBER: [(&str, &str); 6] = [
    ("response", "status"),
    ("clock", "now"),
    ("log", "write"),
    ("crypto", "equal"),
    ("jwks", "granted"),
    ("metrics", "count"),
];

/// Whether a function of the contract returns by memory; none if there is no such function.
pub(crate) fn by_memory(interface: &str, function: &str) -> Option<bool> {
    if BY_NUMBER.contains(&(interface, function)) {
        return Some(false);
    }
    BY_MEMORY.contains(&(interface, function)).then_some(true)
}

/// The hook's memory, if it may call now. It may not while it allocates for the host, and not after it has returned.
fn open(caller: &Own<'_>) -> Result<Memory> {
    let State { gate, memory, .. } = &caller.data().direct;
    match gate {
        Gate::Open => memory.ok_or_else(|| Broken("no memory").into()),
        Gate::Allocating | Gate::Closed => Err(Trap::CannotLeaveComponent.into()),
    }
}

/// Runs a host function with parameters from the hook's memory.
fn take<P: Param, R>(
    caller: &mut Own<'_>,
    flat: &[u32],
    host: impl FnOnce(&mut CallState, P) -> Result<R>,
) -> Result<R> {
    let memory = open(caller)?;
    let (bytes, state) = memory.data_and_store_mut(caller);
    let params = P::param(&mut Lift::new(bytes), &mut Flat(flat))?;
    host(state, params)
}

/// Starts giving a result to the hook: what it has to allocate, or 0.
fn give<R: Store>(caller: &mut Own<'_>, at: u32, result: R) -> Result<u64> {
    let memory = open(caller)?;
    let (bytes, state) = memory.data_and_store_mut(caller);
    state.direct.lowering.begin(bytes, at, result)?;
    state.direct.wants()
}

impl Param for () {
    const FLAT: usize = 0;

    fn param(_: &mut Lift<'_>, _: &mut Flat<'_>) -> Result<Self> {
        Ok(())
    }
}

macro_rules! params {
    ($($name:ident)*) => {
        impl<$($name: Param),*> Param for ($($name,)*) {
            const FLAT: usize = 0 $(+ $name::FLAT)*;

            fn param(lift: &mut Lift<'_>, flat: &mut Flat<'_>) -> Result<Self> {
                Ok(($($name::param(lift, flat)?,)*))
            }
        }
    };
}

params!(A);
params!(A B);
params!(A B C);
params!(A B C D);
params!(A B C D E);

/// Functions that return by memory: interface, name, names for the flat parameters, parameters and what runs.
macro_rules! by_memory {
    ($([$interface:literal $name:literal] ($($flat:ident)*) ($($param:ident: $type:ty),*) -> $result:ty = $host:path;)*) => {
        fn define_by_memory(linker: &mut Linker<CallState>) -> Result<()> {
            $(
                const {
                    let flat: &[&str] = &[$(stringify!($flat)),*];
                    assert!(<($($type,)*)>::FLAT == flat.len(), "flat parameters");
                }
                linker.func_wrap(
                    $interface,
                    $name,
                    |mut caller: Own<'_>, $($flat: u32,)* at: u32| -> Result<u64> {
                        let result: $result = take(
                            &mut caller,
                            &[$($flat),*],
                            |state, ($($param,)*): ($($type,)*)| $host(state, $($param),*),
                        )?;
                        give(&mut caller, at, result)
                    },
                )?;
            )*
            Ok(())
        }

        const BY_MEMORY: &[(&str, &str)] = &[
            $(($interface, $name),)*
            ("jwks", "verify"),
            ("fetch", "send"),
            ("key-value", "get"),
            ("key-value", "exists"),
            ("secrets", "get"),
            ("data", "size"),
            ("data", "read"),
        ];

        /// Interface, name, parameters, result and the number of flat parameters.
        #[cfg(test)]
        pub(super) fn described() -> Vec<(&'static str, &'static str, Vec<String>, String, usize)> {
            use super::abi::Abi as _;
            vec![$((
                $interface,
                $name,
                vec![$(<$type>::describe()),*],
                <$result>::describe(),
                <($($type,)*)>::FLAT,
            )),*]
        }
    };
}

by_memory! {
    ["request" "method"] () () -> String = request::Host::method;
    ["request" "scheme"] () () -> String = request::Host::scheme;
    ["request" "authority"] () () -> String = request::Host::authority;
    ["request" "path"] () () -> String = request::Host::path;
    ["request" "query"] () () -> Option<String> = request::Host::query;
    ["request" "header-values"] (a b) (name: String) -> Vec<Vec<u8>> = request::Host::header_values;
    ["request" "headers"] () () -> Vec<request::Header> = request::Host::headers;
    ["request" "header-names"] () () -> Vec<String> = request::Host::header_names;
    ["request" "cookie"] (a b) (name: String) -> Option<String> = request::Host::cookie;
    ["request" "query-param"] (a b) (name: String) -> Option<String> = request::Host::query_param;
    ["request" "peek-header-values"] (a b) (name: String) -> Vec<Vec<u8>> = request::Host::peek_header_values;
    ["request" "peek-headers"] () () -> Vec<request::Header> = request::Host::peek_headers;
    ["request" "peek-query"] () () -> Option<String> = request::Host::peek_query;

    ["response" "header-values"] (a b) (name: String) -> Vec<Vec<u8>> = response::Host::header_values;
    ["response" "headers"] () () -> Vec<response::Header> = response::Host::headers;
    ["response" "cache-outcome"] () () -> Option<String> = response::Host::cache_outcome;

    ["viewer" "address"] () () -> String = viewer::Host::address;
    ["viewer" "port"] () () -> Option<u16> = viewer::Host::port;
    ["viewer" "http-version"] () () -> String = viewer::Host::http_version;
    ["viewer" "tls-version"] () () -> Option<String> = viewer::Host::tls_version;
    ["viewer" "country"] () () -> Option<String> = viewer::Host::country;
    ["viewer" "continent"] () () -> Option<String> = viewer::Host::continent;
    ["viewer" "region"] () () -> Option<String> = viewer::Host::region;
    ["viewer" "city"] () () -> Option<String> = viewer::Host::city;
    ["viewer" "asn"] () () -> Option<u32> = viewer::Host::asn;
    ["viewer" "time-zone"] () () -> Option<String> = viewer::Host::time_zone;
    ["viewer" "coordinates"] () () -> Option<(f64, f64)> = viewer::Host::coordinates;
    ["viewer" "device"] () () -> String = viewer::Host::device;

    ["context" "distribution"] () () -> String = context::Host::distribution;
    ["context" "behavior"] () () -> String = context::Host::behavior;
    ["context" "origin"] () () -> Option<String> = context::Host::origin;
    ["context" "stage"] () () -> String = context::Host::stage;
    ["context" "request-id"] () () -> String = context::Host::request_id;
    ["context" "settings"] () () -> String = context::Host::settings;
    ["context" "note"] () () -> Option<String> = context::Host::note;
    ["context" "principal"] () () -> Option<String> = context::Host::principal;
    ["context" "authorizer"] (a b) (name: String) -> Option<String> = context::Host::authorizer;

    ["random" "bytes"] (a) (length: u32) -> Vec<u8> = random::Host::bytes;

    ["crypto" "hash"] (a b c) (digest: crypto::Digest, data: Vec<u8>) -> Vec<u8> = crypto::Host::hash;
    ["crypto" "hmac"] (a b c d e) (digest: crypto::Digest, key: Vec<u8>, data: Vec<u8>) -> Vec<u8> = crypto::Host::hmac;
    ["crypto" "verify"] (a b c d e f g)
        (algorithm: crypto::SignatureAlgorithm, key: Vec<u8>, data: Vec<u8>, signature: Vec<u8>)
        -> Result<bool, String> = crypto::Host::verify;
    ["crypto" "verify-token"] (a b c d e f g h)
        (algorithm: String, key: Vec<u8>, data: Vec<u8>, signature: Vec<u8>)
        -> Result<bool, String> = crypto::Host::verify_token;

    ["body" "read"] () () -> Result<(Vec<u8>, bool), String> = body::Host::read;

    ["origins" "current"] () () -> Option<String> = origins::Host::current;
    ["origins" "choose"] (a b) (choice: String) -> Result<(), String> = origins::Host::choose;

    ["key-value" "meta"] (a b) (store: String) -> Result<(u64, u64), String> = grants::meta;
}

/// Defines all functions of the contract, by the names that `load::rewrite` gives them.
pub(super) fn define(linker: &mut Linker<CallState>) -> Result<()> {
    define_by_memory(linker)?;
    define_by_number(linker)?;
    define_async(linker)?;
    define_grants(linker)?;
    define_data(linker)?;
    linker.func_wrap(MACHINERY, ALLOCATED, |mut caller: Own<'_>, at: u32| -> Result<u64> {
        let State { gate, memory, .. } = &caller.data().direct;
        let (Gate::Allocating, Some(memory)) = (gate, *memory) else { return Err(Trap::CannotLeaveComponent.into()) };
        let (bytes, state) = memory.data_and_store_mut(&mut caller);
        state.direct.lowering.allocated(bytes, at)?;
        state.direct.wants()
    })?;
    linker.func_wrap(MACHINERY, RETURNED, |mut caller: Own<'_>, at: u32| -> Result<()> {
        let memory = open(&caller)?;
        let (bytes, state) = memory.data_and_store_mut(&mut caller);
        // What follows is `cabi_post_…`, which may not call.
        state.direct.gate = Gate::Closed;
        state.direct.take_output(bytes, at)
    })?;
    Ok(())
}

fn define_by_number(linker: &mut Linker<CallState>) -> Result<()> {
    linker.func_wrap("response", "status", |mut caller: Own<'_>| -> Result<u32> {
        take(&mut caller, &[], |state, ()| response::Host::status(state)).map(u32::from)
    })?;
    linker.func_wrap("clock", "now", |mut caller: Own<'_>| -> Result<u64> {
        take(&mut caller, &[], |state, ()| clock::Host::now(state))
    })?;
    linker.func_wrap("log", "write", |mut caller: Own<'_>, a: u32, b: u32, c: u32| -> Result<()> {
        take(&mut caller, &[a, b, c], |state, (level, message)| log::Host::write(state, level, message))
    })?;
    linker.func_wrap("crypto", "equal", |mut caller: Own<'_>, a: u32, b: u32, c: u32, d: u32| -> Result<u32> {
        take(&mut caller, &[a, b, c, d], |state, (a, b)| crypto::Host::equal(state, a, b)).map(u32::from)
    })?;
    linker.func_wrap("jwks", "granted", |mut caller: Own<'_>, a: u32, b: u32| -> Result<u32> {
        take(&mut caller, &[a, b], |state, (set,)| jwks::Host::granted(state, set)).map(u32::from)
    })?;
    linker.func_wrap("metrics", "count", |mut caller: Own<'_>, a: u32, b: u32, by: u64| -> Result<()> {
        take(&mut caller, &[a, b], |state, (name,)| metrics::Host::count(state, name, by))
    })?;
    Ok(())
}

/// What waits gives its thread back.
fn define_async(linker: &mut Linker<CallState>) -> Result<()> {
    type Eleven = (u32, u32, u32, u32, u32, u32, u32, u32, u32, u32, u32);
    type Twelve = (u32, u32, u32, u32, u32, u32, u32, u32, u32, u32, u32, u32);
    linker.func_wrap_async("fetch", "send", |mut caller: Own<'_>, (a, b, c, d, e, f, g, h, i, j, at): Eleven| {
        Box::new(async move {
            let outgoing: fetch::Outgoing =
                take(&mut caller, &[a, b, c, d, e, f, g, h, i, j], |_, outgoing| Ok(outgoing))?;
            let answer: Result<GeneratedResponse, String> = fetch::Host::send(caller.data_mut(), outgoing).await?;
            give(&mut caller, at, answer)
        })
    })?;
    linker.func_wrap_async(
        "jwks",
        "verify",
        |mut caller: Own<'_>, (a, b, c, d, e, f, g, h, i, j, k, at): Twelve| {
            Box::new(async move {
                type Params = (String, String, Option<String>, Vec<u8>, Vec<u8>);
                let flat = [a, b, c, d, e, f, g, h, i, j, k];
                let (set, algorithm, kid, data, signature): Params = take(&mut caller, &flat, |_, params| Ok(params))?;
                let outcome: Result<jwks::Outcome, String> =
                    jwks::Host::verify(caller.data_mut(), set, algorithm, kid, data, signature).await?;
                give(&mut caller, at, outcome)
            })
        },
    )?;
    Ok(())
}

/// Names are read where they are, and values go from where the embedder keeps them.
fn define_grants(linker: &mut Linker<CallState>) -> Result<()> {
    linker.func_wrap(
        "key-value",
        "get",
        |mut caller: Own<'_>, a: u32, b: u32, c: u32, d: u32, at: u32| -> Result<u64> {
            let got = texts(&mut caller, (a, b), (c, d))?;
            give(&mut caller, at, got)
        },
    )?;
    linker.func_wrap(
        "key-value",
        "exists",
        |mut caller: Own<'_>, a: u32, b: u32, c: u32, d: u32, at: u32| -> Result<u64> {
            let found = texts(&mut caller, (a, b), (c, d))?.map(|value| value.is_some());
            give(&mut caller, at, found)
        },
    )?;
    linker.func_wrap("secrets", "get", |mut caller: Own<'_>, a: u32, b: u32, at: u32| -> Result<u64> {
        let memory = open(&caller)?;
        let (bytes, state) = memory.data_and_store_mut(&mut caller);
        let found = grants::secret(state, Lift::new(bytes).text(a, b)?);
        give(&mut caller, at, found)
    })?;
    Ok(())
}

/// As those: a part goes from where the host keeps it.
fn define_data(linker: &mut Linker<CallState>) -> Result<()> {
    linker.func_wrap("data", "size", |mut caller: Own<'_>, a: u32, b: u32, at: u32| -> Result<u64> {
        let memory = open(&caller)?;
        let (bytes, state) = memory.data_and_store_mut(&mut caller);
        let size = state.hook.held().size(Lift::new(bytes).text(a, b)?);
        give(&mut caller, at, size)
    })?;
    linker.func_wrap(
        "data",
        "read",
        |mut caller: Own<'_>, a: u32, b: u32, offset: u32, length: u32, at: u32| -> Result<u64> {
            let memory = open(&caller)?;
            let (bytes, state) = memory.data_and_store_mut(&mut caller);
            let part = state.hook.held().read(Lift::new(bytes).text(a, b)?, offset, length);
            give(&mut caller, at, part)
        },
    )?;
    Ok(())
}

fn texts(caller: &mut Own<'_>, store: (u32, u32), key: (u32, u32)) -> Result<grants::Got> {
    let memory = open(caller)?;
    let (bytes, state) = memory.data_and_store_mut(caller);
    let mut lift = Lift::new(bytes);
    let (store, key) = (lift.text(store.0, store.1)?, lift.text(key.0, key.1)?);
    Ok(grants::value(state, store, key))
}
