//! Turns a compiled hook, fresh or from the cache directory, into code. The one file of the crate with unsafe code.
//!
//! # Safety argument
//!
//! `Component::deserialize` and `Module::deserialize` trust their input: they map machine code and tables that wasmtime's own compiler wrote and check
//! only a header (wasmtime version, target, compiler settings). Bytes made by somebody else could run anything with the
//! rights of this process. So the only bytes that may come here are those that this program wrote, and:
//!
//! 1. **The type.** The function takes a [`Verified`], which only `artefact::read` makes and `load`, of what the compiler
//!    returned. Bytes of a hook's author, of the network or of the configuration never become one: hooks are always given
//!    as WASM and compiled by this program. What is made of JavaScript is WASM too: the same kind of file keeps it, in a
//!    folder of its own, where nobody looks for code.
//! 2. **The origin.** The compiler is `Engine::precompile_component` or `precompile_module`, in this process or in a child that this process started
//!    with the same program (`compiler`). The child's answer comes over a pipe that nobody else has; the edge's own
//!    program is `/proc/self/exe`, which cannot be exchanged while it runs. `artefact::write` is the only writer of the
//!    directory; it writes what the compiler returned. The directory is created with mode 0700 and files with mode 0600. At
//!    start a directory that belongs to another user or that group or others may write to is not used. Who can write there
//!    nevertheless is this user or root, and can already replace the program or its configuration: the cache gives them
//!    nothing new.
//! 3. **The content.** A file ends with the SHA-256 of its name and its content. It is checked against bad disks, torn
//!    writes and files under a wrong name. It does not protect against an attacker with write access; point 2 does.
//! 4. **No change after the check.** The bytes are read into memory once, checked there and used from there. The file is
//!    not mapped, so that a later change of the file has no effect. What is mapped, where an artefact is large, is a file
//!    without a name that is written from the checked bytes: nobody else can open it, to change it or to make it shorter.
//! 5. **The right engine.** The file's name holds a SHA-256 of the WASM and the engine's compatibility hash: another
//!    wasmtime version or configuration looks for another name. Where an artefact has two parts, the first eight bytes say
//!    where the second starts; wasmtime's header says whether a part is a component or a module, and is checked. Where names agree by accident of the hash's truncation,
//!    wasmtime's header check refuses with an error.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use wasmtime::Module;
use wasmtime::component::Component;

use crate::artefact::Verified;

/// Modules from this size on, in bytes, are mapped from a file. An instance that reads what its memory began with, and is not
/// kept from one call to the next, meets a page fault; in memory that no file system knows, that one costs the kernel three
/// times as much, because there each page is looked up by itself.
const MAPPED_FROM: usize = 256 << 10;

/// The component of a verified artefact.
///
/// # Errors
///
/// When the artefact is for another wasmtime version or configuration.
#[expect(unsafe_code, reason = "wasmtime cannot verify machine code; the module's safety argument says who wrote it")]
pub(crate) fn component(engine: &wasmtime::Engine, artefact: &Verified) -> wasmtime::Result<Component> {
    // SAFETY: the bytes are what wasmtime's compiler gave this program, unchanged: points 1 to 4 above. That they fit
    // this engine is checked by wasmtime: point 5.
    unsafe { Component::deserialize(engine, artefact.bytes()) }
}

/// An artefact of two parts: the component whose types stand for a core module's, and the module.
pub(crate) fn join(skeleton: &[u8], module: &[u8]) -> Vec<u8> {
    let length = (skeleton.len() as u64).to_le_bytes();
    [&length[..], skeleton, module].concat()
}

/// The parts of a verified artefact that [`join`] made. A large module is mapped from a file in the directory, if there is one
/// that can hold it.
///
/// # Errors
///
/// When the artefact is for another wasmtime version or configuration, or is not of two parts.
#[expect(unsafe_code, reason = "as above")]
pub(crate) fn parts(
    engine: &wasmtime::Engine,
    artefact: &Verified,
    dir: Option<&Path>,
) -> wasmtime::Result<(Component, Module)> {
    let parts = artefact.bytes().split_first_chunk().and_then(|(length, rest)| {
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        rest.split_at_checked(length)
    });
    let (skeleton, module) = parts.ok_or_else(|| wasmtime::Error::msg("the artefact has no two parts"))?;
    // SAFETY: as in `component`; both parts are whole answers of wasmtime's compiler, put together by this program.
    let skeleton = unsafe { Component::deserialize(engine, skeleton)? };
    let file = dir.filter(|_dir| module.len() >= MAPPED_FROM).and_then(|dir| match nameless(dir, module) {
        Ok(file) => Some(file),
        Err(error) => {
            tracing::debug!(dir = %dir.display(), %error, "a large hook stays in memory: there is no room for its file");
            None
        }
    });
    // SAFETY: as above; the file holds these bytes, and point 4 says why it keeps them. Where the file system lets nothing of
    // it run, the next line does without.
    if let Some(Ok(module)) = file.map(|file| unsafe { Module::deserialize_open_file(engine, file) }) {
        return Ok((skeleton, module));
    }
    // SAFETY: as above.
    Ok((skeleton, unsafe { Module::deserialize(engine, module)? }))
}

/// A file without a name that holds these bytes.
fn nameless(dir: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile_in(dir)?;
    file.write_all(bytes)?;
    Ok(file)
}
