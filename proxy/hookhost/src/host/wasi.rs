//! As much of WASI 0.2 as Rust's std on wasm32-wasip2 needs for clocks, randomness, standard output and standard error: the
//! last two go to the hook's log. There are no files, no sockets, no arguments and no environment: what std asks about them
//! is answered with "none", and what would use them is refused. Hooks that import no WASI pay nothing for it.

mod clocks;
mod output;
mod random;

use wasmtime::StoreContextMut;
use wasmtime::component::types::{ComponentFunc, Type};
use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, Resource, Val};

use crate::fault::Refusal;
use crate::state::CallState;

pub(crate) use clocks::Pollable;
pub(crate) use output::{InputStream, IoError, OutputStream};

/// What a call has of WASI; made when the hook first asks for something that has to be kept.
#[derive(Default)]
pub(crate) struct Wasi {
    output: output::Output,
    pollables: clocks::Pollables,
}

/// Stands for resources of which none is ever made: descriptors, sockets, terminals.
pub(crate) struct Nothing;

/// A list with a resource of which there is none.
type NoDirectories = Vec<(Resource<Nothing>, String)>;

/// Defines a function of a WASI interface. `interface` has no version, as in `wasi:cli/stdout`; `ty` is what the component
/// imports. What is not provided is refused when it is called.
pub(crate) fn define(
    linker: &mut LinkerInstance<'_, CallState>,
    interface: &str,
    name: &str,
    ty: &ComponentFunc,
) -> wasmtime::Result<()> {
    match (interface, name) {
        ("wasi:cli/environment", "get-environment") => gives(linker, name, Vec::<(String, String)>::new),
        ("wasi:cli/environment", "get-arguments") => gives(linker, name, Vec::<String>::new),
        ("wasi:cli/environment", "initial-cwd") => gives(linker, name, || None::<String>),
        ("wasi:cli/terminal-stdin", "get-terminal-stdin")
        | ("wasi:cli/terminal-stdout", "get-terminal-stdout")
        | ("wasi:cli/terminal-stderr", "get-terminal-stderr") => gives(linker, name, || None::<Resource<Nothing>>),
        ("wasi:cli/exit", "exit" | "exit-with-code") => {
            refuses(linker, name, "the hook ended itself before it returned")
        }
        ("wasi:filesystem/preopens", "get-directories") => gives(linker, name, NoDirectories::new),
        ("wasi:sockets/instance-network", "instance-network") => {
            linker.func_wrap(name, |_: StoreContextMut<'_, CallState>, (): ()| Ok((Resource::<Nothing>::new_own(0),)))
        }
        ("wasi:cli/stdin" | "wasi:cli/stdout" | "wasi:cli/stderr" | "wasi:io/streams", _) => {
            output::define(linker, name)
        }
        ("wasi:clocks/wall-clock" | "wasi:clocks/monotonic-clock" | "wasi:io/poll", _) => {
            clocks::define(linker, interface, name)
        }
        ("wasi:random/random" | "wasi:random/insecure" | "wasi:random/insecure-seed", _) => {
            random::define(linker, name)
        }
        ("wasi:sockets/tcp-create-socket" | "wasi:sockets/udp-create-socket" | "wasi:sockets/ip-name-lookup", _)
            if can_deny(ty) =>
        {
            linker.func_new_async(name, |mut store, _, params, results| {
                Box::new(async move {
                    // What was lent has to be given back.
                    for param in params {
                        if let Val::Resource(lent) = param {
                            lent.resource_drop_async(&mut store).await?;
                        }
                    }
                    if let [result] = results {
                        *result = Val::Result(Err(Some(Box::new(Val::Enum(ACCESS_DENIED.into())))));
                    }
                    Ok(())
                })
            })
        }
        _ => refuses(
            linker,
            name,
            "the edge gives hooks no files, no sockets and no other parts of WASI than clocks, \
            randomness, standard output and standard error",
        ),
    }
}

/// How sockets are refused to a program that can take it.
const ACCESS_DENIED: &str = "access-denied";

/// Whether the function returns a result whose error can say that access is denied.
fn can_deny(ty: &ComponentFunc) -> bool {
    match ty.results().next() {
        Some(Type::Result(result)) => match result.err() {
            Some(Type::Enum(error)) => error.names().any(|name| name == ACCESS_DENIED),
            _ => false,
        },
        _ => false,
    }
}

/// A function without parameters that always gives the same.
fn gives<T>(linker: &mut LinkerInstance<'_, CallState>, name: &str, value: fn() -> T) -> wasmtime::Result<()>
where
    T: ComponentType + Lower + Lift + Send + Sync + 'static,
{
    linker.func_wrap(name, move |_: StoreContextMut<'_, CallState>, (): ()| Ok((value(),)))
}

/// A function that ends the call.
fn refuses(linker: &mut LinkerInstance<'_, CallState>, name: &str, why: &'static str) -> wasmtime::Result<()> {
    linker.func_new(name, move |_, _, _, _| Err(Refusal(why).into()))
}
