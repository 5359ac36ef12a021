//! The `edgeweir` binary: an allocator and a call.

use std::process::ExitCode;

/// Buffers and small boxes come and go on every request and cross threads; mimalloc is clearly faster at that than the
/// system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    edgeweir_proxy::cli::main()
}
