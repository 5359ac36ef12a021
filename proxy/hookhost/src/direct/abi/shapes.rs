//! The records, variants and enums of the contract, with their fields and cases in its order. A test compares them with
//! `sdk/wit`.

use wasmtime::Result;

use super::{Abi, Flat, Lift, Load, Lowering, Param, Store, record, variant};
use crate::bindings::imports::crypto::{Digest, SignatureAlgorithm};
use crate::bindings::imports::fetch::Outgoing;
use crate::bindings::imports::jwks::Outcome;
use crate::bindings::imports::log::Level;
use crate::bindings::imports::types::{GeneratedResponse, Header, HeaderEdit};
use crate::bindings::stages as raw;
use crate::fault::Broken;

/// Offsets of fields, one after the other.
struct Fields(usize);

impl Fields {
    fn next<T: Abi>(&mut self) -> usize {
        let at = super::align_up(self.0, T::ALIGN);
        self.0 = at + T::SIZE;
        at
    }
}

macro_rules! records {
    ($($record:ty { $($field:ident: $type:ty),* })*) => {$(
        impl Abi for $record {
            const SIZE: usize = record(&[$((<$type>::SIZE, <$type>::ALIGN)),*]).0;
            const ALIGN: usize = record(&[$((<$type>::SIZE, <$type>::ALIGN)),*]).1;
            #[cfg(test)]
            fn describe() -> String {
                let fields = [$(format!("{}:{}", stringify!($field).replace('_', ""), <$type>::describe())),*];
                format!("record{{{}}}[{},{}]", fields.join(","), Self::SIZE, Self::ALIGN)
            }
        }

        impl Load for $record {
            fn load(lift: &mut Lift<'_>, at: usize) -> Result<Self> {
                let mut fields = Fields(0);
                Ok(Self { $($field: <$type>::load(lift, at + fields.next::<$type>())?),* })
            }
        }
    )*};
}

records! {
    Header { name: String, value: Vec<u8> }
    GeneratedResponse { status: u16, headers: Vec<Header>, body: Vec<u8> }
    Outgoing { origin: String, method: String, target: String, headers: Vec<Header>, body: Vec<u8> }
    raw::authorizer::Caller {
        principal: Option<String>,
        context: Vec<(String, String)>,
        api_key: Option<String>,
        max_age: Option<u32>
    }
    raw::origin_request::DynamicOrigin {
        scheme: String,
        host: String,
        port: Option<u16>,
        path_prefix: String,
        host_header: Option<String>
    }
    raw::settings_check::Problem { path: String, message: String }
}

macro_rules! stored_records {
    ($($record:ident { $($field:ident: $type:ty),* })*) => {$(
        impl Store for $record {
            fn store(self, to: &mut Lowering, block: usize, at: usize) -> Result<()> {
                let mut fields = Fields(0);
                $(self.$field.store(to, block, at + fields.next::<$type>())?;)*
                Ok(())
            }
        }
    )*};
}

stored_records! {
    Header { name: String, value: Vec<u8> }
    GeneratedResponse { status: u16, headers: Vec<Header>, body: Vec<u8> }
}

impl Param for Outgoing {
    const FLAT: usize = 10;

    fn param(lift: &mut Lift<'_>, flat: &mut Flat<'_>) -> Result<Self> {
        Ok(Self {
            origin: String::param(lift, flat)?,
            method: String::param(lift, flat)?,
            target: String::param(lift, flat)?,
            headers: Vec::param(lift, flat)?,
            body: Vec::param(lift, flat)?,
        })
    }
}

macro_rules! variants {
    ($($variant:ty { $($case:ident($type:ty)),* })*) => {$(
        impl Abi for $variant {
            const SIZE: usize = variant(&[$((<$type>::SIZE, <$type>::ALIGN)),*]).0;
            const ALIGN: usize = variant(&[$((<$type>::SIZE, <$type>::ALIGN)),*]).1;
            #[cfg(test)]
            fn describe() -> String {
                let cases = [$(format!("{}({})", stringify!($case).to_lowercase(), <$type>::describe())),*];
                format!("variant{{{}}}[{},{}]", cases.join(","), Self::SIZE, Self::ALIGN)
            }
        }

        impl Load for $variant {
            fn load(lift: &mut Lift<'_>, at: usize) -> Result<Self> {
                const PAYLOAD: usize = variant(&[$((<$type>::SIZE, <$type>::ALIGN)),*]).2;
                #[repr(u32)]
                enum Number { $($case),* }
                let case = lift.case(at)?;
                $(if case == Number::$case as u32 {
                    return <$type>::load(lift, at + PAYLOAD).map(Self::$case);
                })*
                Err(Broken("unexpected discriminant").into())
            }
        }
    )*};
}

variants! {
    HeaderEdit { Set(Header), Append(Header), Remove(String) }
    raw::authorizer::Verdict {
        Allow(raw::authorizer::Caller),
        Deny(Vec<(String, String)>),
        Unauthorized(Option<String>)
    }
    raw::viewer_request::Edit {
        Header(HeaderEdit),
        Path(String),
        Query(Option<String>),
        Note(String),
        CacheKey(String),
        Origin(String),
        Body(Vec<u8>),
        Cost(u32),
        ApiKey(String)
    }
    raw::viewer_request::Verdict { Next(Vec<raw::viewer_request::Edit>), Respond(GeneratedResponse) }
    raw::origin_request::Edit {
        Header(HeaderEdit),
        Path(String),
        Query(Option<String>),
        Origin(String),
        DynamicOrigin(raw::origin_request::DynamicOrigin),
        Body(Vec<u8>),
        Note(String)
    }
    raw::origin_request::Verdict { Next(Vec<raw::origin_request::Edit>), Respond(GeneratedResponse) }
    raw::origin_response::Edit {
        Header(HeaderEdit),
        Status(u16),
        Ttl(u32),
        Note(String),
        Body(Vec<u8>),
        CacheTag(String)
    }
    raw::viewer_response::Edit { Header(HeaderEdit), Status(u16), Body(Vec<u8>) }
}

macro_rules! enums {
    ($($enum:ident { $($case:ident),* })*) => {$(
        impl Abi for $enum {
            const SIZE: usize = 1;
            const ALIGN: usize = 1;
            #[cfg(test)]
            fn describe() -> String {
                format!("enum{{{}}}", [$(stringify!($case).to_lowercase()),*].join(","))
            }
        }

        impl Param for $enum {
            const FLAT: usize = 1;

            fn param(_: &mut Lift<'_>, flat: &mut Flat<'_>) -> Result<Self> {
                let case = flat.take()?;
                $(if case == Self::$case as u32 {
                    return Ok(Self::$case);
                })*
                Err(Broken("unexpected discriminant").into())
            }
        }

        impl Store for $enum {
            fn store(self, to: &mut Lowering, block: usize, at: usize) -> Result<()> {
                to.write(block, at, &[self as u8])
            }
        }
    )*};
}

enums! {
    Level { Debug, Info, Warn, Error }
    Digest { Sha256, Sha384, Sha512 }
    SignatureAlgorithm { Hs256, Hs384, Hs512, Rs256, Rs384, Rs512, Es256, Es384 }
    Outcome { Valid, Invalid, UnknownKey, OtherAlgorithm }
}
