//! What a thrown value says, for the log and for whoever builds a hook.

use rquickjs::convert::Coerced;
use rquickjs::{CaughtError, Ctx, Error, Value};

/// Ends the names of files that are ours: their frames say nothing to the author of a function.
pub(crate) const OURS: &str = "edgeweir:";
/// Most frames that are told.
const MAX_FRAMES: usize = 8;

/// A thrown value in words, and where it was thrown.
pub(crate) struct Thrown {
    /// `TypeError: …`, in one line.
    pub(crate) message: String,
    /// `handler (fn.js:3:14)`, the innermost first.
    frames: Vec<String>,
}

impl Thrown {
    /// What an error of the engine is about; takes the pending exception.
    pub(crate) fn of(ctx: &Ctx<'_>, error: Error) -> Self {
        match CaughtError::from_error(ctx, error) {
            CaughtError::Exception(exception) => {
                let name = exception.as_object().get::<_, Option<Coerced<String>>>("name").ok().flatten();
                let name = name.map_or_else(|| "Error".to_owned(), |name| name.0);
                let message = exception.message().unwrap_or_default();
                let message = if message.is_empty() { name } else { format!("{name}: {message}") };
                Self { message, frames: frames(&exception.stack().unwrap_or_default()) }
            }
            CaughtError::Value(value) => Self { message: format!("thrown: {}", text(&value)), frames: Vec::new() },
            CaughtError::Error(error) => Self { message: error.to_string(), frames: Vec::new() },
        }
    }

    /// File, line and column of the innermost frame.
    pub(crate) fn place(&self) -> Option<(&str, u32, u32)> {
        let frame = self.frames.first()?;
        let place = frame.split_once('(').map_or(frame.as_str(), |(_, place)| place.trim_end_matches(')'));
        let (rest, column) = place.rsplit_once(':')?;
        let (file, line) = rest.rsplit_once(':')?;
        Some((file, line.parse().ok()?, column.parse().ok()?))
    }

    /// All of it in one line.
    pub(crate) fn line(&self) -> String {
        let mut line = self.message.clone();
        for (nth, frame) in self.frames.iter().enumerate() {
            line.push_str(if nth == 0 { ", at " } else { " < " });
            line.push_str(frame);
        }
        line
    }
}

/// The frames of a stack: lines of `    at NAME (FILE:LINE:COLUMN)`, or without a name.
fn frames(stack: &str) -> Vec<String> {
    let frames = stack.lines().filter_map(|line| line.trim().strip_prefix("at "));
    let theirs = frames.filter(|frame| !frame.contains(OURS) && !frame.ends_with("(native)"));
    theirs.take(MAX_FRAMES).map(str::to_owned).collect()
}

/// Any value as text, as far as that works without running the function's code again.
fn text(value: &Value<'_>) -> String {
    match value.as_string().and_then(|text| text.to_string().ok()) {
        Some(text) => text,
        None => match value.ctx().json_stringify(value.clone()) {
            Ok(Some(json)) => json.to_string().unwrap_or_default(),
            _ => value.type_name().to_owned(),
        },
    }
}
