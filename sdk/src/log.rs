//! Lines in the edge's log, with the hook's name and the request id. Never write credentials.
//!
//! ```no_run
//! use edgeweir_sdk::log;
//!
//! let country = "CH";
//! log::info!("viewer from {country}");
//! ```
//!
//! At most 64 lines and 10 KiB a call; what is over is cut and counted by the edge.

pub use crate::bindings::imports::edgeweir::hook::log::Level;

pub use crate::{__log_debug as debug, __log_error as error, __log_info as info, __log_warn as warn};

/// Writes a line. Outside of WASM, as in unit tests, it goes to standard error.
pub fn write(level: Level, message: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::imports::edgeweir::hook::log::write(level, message);
    #[cfg(not(target_arch = "wasm32"))]
    {
        #[expect(clippy::print_stderr, reason = "only in unit tests of hooks; the test harness captures it")]
        {
            eprintln!("{level:?}: {message}");
        }
    }
}

/// Has a panic write its message before it ends the call; without it the edge only knows that the hook trapped.
#[inline]
pub(crate) fn catch_panics() {
    #[cfg(all(target_arch = "wasm32", feature = "panic-log"))]
    std::panic::set_hook(Box::new(|panic| write(Level::Error, &panic.to_string())));
}

/// Writes a debug line; takes what `format!` takes.
#[macro_export]
#[doc(hidden)]
macro_rules! __log_debug {
    ($($part:tt)+) => { $crate::log::write($crate::log::Level::Debug, &::std::format!($($part)+)) };
}

/// Writes an info line; takes what `format!` takes.
#[macro_export]
#[doc(hidden)]
macro_rules! __log_info {
    ($($part:tt)+) => { $crate::log::write($crate::log::Level::Info, &::std::format!($($part)+)) };
}

/// Writes a warning; takes what `format!` takes.
#[macro_export]
#[doc(hidden)]
macro_rules! __log_warn {
    ($($part:tt)+) => { $crate::log::write($crate::log::Level::Warn, &::std::format!($($part)+)) };
}

/// Writes an error line; takes what `format!` takes. It does not end the call.
#[macro_export]
#[doc(hidden)]
macro_rules! __log_error {
    ($($part:tt)+) => { $crate::log::write($crate::log::Level::Error, &::std::format!($($part)+)) };
}
