//! Standard output and standard error: whole lines go to the hook's log, within its limits. Standard input is at its end.

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, LinkerInstance, Lower, Resource};

use super::clocks::{Pollable, READY};
use super::refuses;
use crate::LogLevel;
use crate::fault::Refusal;
use crate::host::log::MAX_BYTES;
use crate::state::CallState;

/// `wasi:io/streams.input-stream`; there is one, and it is at its end.
pub(crate) struct InputStream;
/// `wasi:io/streams.output-stream`: standard output or standard error.
pub(crate) struct OutputStream;
/// `wasi:io/error.error`; none is ever made.
pub(crate) struct IoError;

/// What is written at once at most, as `check-write` says.
const PERMIT: u64 = 4096;

const STDOUT: u32 = 1;
const STDERR: u32 = 2;

/// Lines that are not whole yet.
#[derive(Default)]
pub(super) struct Output {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// The line before told of a panic; this one tells why.
    panicking: bool,
}

/// `wasi:io/streams.stream-error`.
#[derive(ComponentType, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    #[expect(dead_code, reason = "nothing that is written can fail")]
    LastOperationFailed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

type Store<'a> = StoreContextMut<'a, CallState>;
type Out = Resource<OutputStream>;
type In = Resource<InputStream>;

pub(super) fn define(linker: &mut LinkerInstance<'_, CallState>, name: &str) -> wasmtime::Result<()> {
    let done = || Ok((Ok::<(), StreamError>(()),));
    match name {
        "get-stdin" => linker.func_wrap(name, |_: Store<'_>, (): ()| Ok((In::new_own(0),))),
        "get-stdout" => linker.func_wrap(name, |_: Store<'_>, (): ()| Ok((Out::new_own(STDOUT),))),
        "get-stderr" => linker.func_wrap(name, |_: Store<'_>, (): ()| Ok((Out::new_own(STDERR),))),
        "[method]output-stream.check-write" => {
            linker.func_wrap(name, |_: Store<'_>, (_,): (Out,)| Ok((Ok::<u64, StreamError>(PERMIT),)))
        }
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => {
            linker.func_wrap(name, move |mut store: Store<'_>, (stream, bytes): (Out, Vec<u8>)| {
                store.data_mut().print(stream.rep(), &bytes)?;
                done()
            })
        }
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => {
            linker.func_wrap(name, move |_: Store<'_>, (_,): (Out,)| done())
        }
        "[method]output-stream.subscribe" => {
            linker.func_wrap(name, |_: Store<'_>, (_,): (Out,)| Ok((Resource::<Pollable>::new_own(READY),)))
        }
        "[method]input-stream.read" | "[method]input-stream.blocking-read" => {
            linker.func_wrap(name, |_: Store<'_>, (_, _): (In, u64)| Ok((Err::<Vec<u8>, _>(StreamError::Closed),)))
        }
        "[method]input-stream.skip" | "[method]input-stream.blocking-skip" => {
            linker.func_wrap(name, |_: Store<'_>, (_, _): (In, u64)| Ok((Err::<u64, _>(StreamError::Closed),)))
        }
        "[method]input-stream.subscribe" => {
            linker.func_wrap(name, |_: Store<'_>, (_,): (In,)| Ok((Resource::<Pollable>::new_own(READY),)))
        }
        // `write-zeroes` and `splice`, which std does not use.
        _ => refuses(linker, name, "the edge has no streams but standard output and standard error"),
    }
}

impl CallState {
    fn print(&mut self, stream: u32, bytes: &[u8]) -> wasmtime::Result<()> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            self.pending(stream)?.extend_from_slice(line);
            self.end_line(stream)?;
        }
        // What does not fit into the log any more is not kept for it.
        let pending = self.pending(stream)?;
        let room = MAX_BYTES.saturating_sub(pending.len());
        pending.extend_from_slice(rest.get(..room).unwrap_or(rest));
        if rest.len() > room {
            self.end_line(stream)?;
        }
        Ok(())
    }

    fn pending(&mut self, stream: u32) -> wasmtime::Result<&mut Vec<u8>> {
        let output = &mut self.wasi.get_or_insert_default().output;
        match stream {
            STDOUT => Ok(&mut output.stdout),
            STDERR => Ok(&mut output.stderr),
            _ => Err(Refusal("there is no such stream").into()),
        }
    }

    fn end_line(&mut self, stream: u32) -> wasmtime::Result<()> {
        let line = String::from_utf8_lossy(&std::mem::take(self.pending(stream)?)).into_owned();
        let level = if stream == STDOUT { LogLevel::Info } else { LogLevel::Warn };
        if stream == STDERR {
            self.last_words(&line);
        }
        if !line.is_empty() {
            self.log(level, line);
        }
        Ok(())
    }

    /// std tells of a panic in two lines, before it ends the call: `thread '…' panicked at PLACE:` and the message.
    fn last_words(&mut self, line: &str) {
        let Some(wasi) = &mut self.wasi else { return };
        if let Some(at) = line.find("panicked at ") {
            wasi.output.panicking = true;
            self.last_error = line.get(at..).map(Into::into);
        } else if std::mem::take(&mut wasi.output.panicking)
            && let Some(place) = &self.last_error
        {
            self.last_error = Some(format!("{place}\n{line}").into_boxed_str());
        }
    }

    /// Logs what was written without a line end. For the end of a call.
    pub(crate) fn end_output(&mut self) {
        if self.wasi.is_some() {
            for stream in [STDOUT, STDERR] {
                // Both are there.
                drop(self.end_line(stream));
            }
        }
    }
}
