//! Interface `log`: lines go to the embedder while the call has room for them, the rest is counted.

use crate::LogLevel;
use crate::bindings::imports::log;
use crate::state::CallState;

/// Most lines of a call.
const MAX_LINES: u32 = 64;
/// Most bytes of a call, all lines together.
pub(super) const MAX_BYTES: usize = 10 * 1024;

impl log::Host for CallState {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.log(
            match level {
                log::Level::Debug => LogLevel::Debug,
                log::Level::Info => LogLevel::Info,
                log::Level::Warn => LogLevel::Warn,
                log::Level::Error => LogLevel::Error,
            },
            message,
        );
        Ok(())
    }
}

impl CallState {
    /// Takes a line of the hook, if there is room for it.
    pub(super) fn log(&mut self, level: LogLevel, mut message: String) {
        let room = MAX_BYTES.saturating_sub(self.log_bytes);
        if self.log_lines == MAX_LINES || room == 0 {
            self.log_dropped = self.log_dropped.saturating_add(1);
            return;
        }
        if message.len() > room {
            message.truncate(message.floor_char_boundary(room));
            self.log_dropped = self.log_dropped.saturating_add(1);
            self.log_bytes = MAX_BYTES;
        } else {
            self.log_bytes += message.len();
        }
        self.log_lines += 1;
        self.hook.services().log(self.hook.name(), &self.call.facts.request_id, level, &message);
        if level == LogLevel::Error {
            self.last_error = Some(message.into_boxed_str());
        }
    }
}
