//! The exports: a stage's event is made, the function called, and what it returned becomes the stage's reply.

use edgeweir_sdk::bindings;
use rquickjs::{Ctx, Error, Function, Promise, Result, Value};

use crate::errors::Thrown;
use crate::outcome::{self, Edit};
use crate::setup;

/// Starts the error of a function whose result cannot be used: the edge counts it as bad output, not as a failure.
const INVALID: &str = "invalid result: ";

/// Calls the function; its decision is in `outcome` then.
fn call(stage: u32) -> std::result::Result<(), String> {
    setup::engine(|engine| {
        let Some(engine) = engine else { return Err("no function was built in".to_owned()) };
        let Some((handler, kind)) = &engine.handler else { return Err("no function was built in".to_owned()) };
        engine.context.with(|ctx| {
            let returned = returned(&ctx, kind, handler, stage).map_err(|error| failed(&ctx, error))?;
            let finished = kind.finish.clone().restore(&ctx).and_then(|finish| finish.call((stage, returned)));
            finished.map_err(|error| format!("{INVALID}{}", Thrown::of(&ctx, error).message))
        })
    })
}

fn failed(ctx: &Ctx<'_>, error: Error) -> String {
    if let Error::WouldBlock = error {
        return "the function waits for a promise that nothing settles".to_owned();
    }
    Thrown::of(ctx, error).line()
}

/// What the function returned, or what its promise came to.
fn returned<'js>(ctx: &Ctx<'js>, kind: &setup::Kind, handler: &setup::Saved, stage: u32) -> Result<Value<'js>> {
    let call: Function<'js> = kind.call.clone().restore(ctx)?;
    let handler: Function<'js> = handler.clone().restore(ctx)?;
    let value: Value<'js> = call.call((stage, handler))?;
    match value.as_promise() {
        None => Ok(value),
        Some(promise) => Promise::finish(promise),
    }
}

macro_rules! request_stage {
    ($module:ident, $export:ident, $hook:ident, $nth:literal) => {
        struct $hook;

        impl bindings::$module::exports::edgeweir::hook::$module::Guest for $hook {
            fn handle() -> std::result::Result<bindings::$module::exports::edgeweir::hook::$module::Verdict, String> {
                use bindings::$module::exports::edgeweir::hook::$module::{Edit as Own, Verdict};

                call($nth)?;
                let (edits, response) = outcome::with(|outcome| (std::mem::take(&mut outcome.edits), outcome.response.take()));
                if let Some(response) = response {
                    return Ok(Verdict::Respond(response));
                }
                let own = edits.into_iter().filter_map(|edit| match edit {
                    Edit::Header(edit) => Some(Own::Header(edit)),
                    Edit::Path(path) => Some(Own::Path(path)),
                    Edit::Query(query) => Some(Own::Query(query)),
                    Edit::Origin(name) => Some(Own::Origin(name)),
                    Edit::Body(body) => Some(Own::Body(body)),
                    Edit::Status(_) => None,
                });
                Ok(Verdict::Next(own.collect()))
            }
        }

        bindings::$module::$export!($hook with_types_in bindings::$module);
    };
}

macro_rules! response_stage {
    ($module:ident, $export:ident, $hook:ident, $nth:literal) => {
        struct $hook;

        impl bindings::$module::exports::edgeweir::hook::$module::Guest for $hook {
            fn handle() -> std::result::Result<Vec<bindings::$module::exports::edgeweir::hook::$module::Edit>, String> {
                use bindings::$module::exports::edgeweir::hook::$module::Edit as Own;

                call($nth)?;
                let edits = outcome::with(|outcome| std::mem::take(&mut outcome.edits));
                let own = edits.into_iter().filter_map(|edit| match edit {
                    Edit::Header(edit) => Some(Own::Header(edit)),
                    Edit::Status(status) => Some(Own::Status(status)),
                    Edit::Body(body) => Some(Own::Body(body)),
                    Edit::Path(_) | Edit::Query(_) | Edit::Origin(_) => None,
                });
                Ok(own.collect())
            }
        }

        bindings::$module::$export!($hook with_types_in bindings::$module);
    };
}

request_stage!(viewer_request, export_viewer_request, ViewerRequest, 0);
request_stage!(origin_request, export_origin_request, OriginRequest, 1);
response_stage!(origin_response, export_origin_response, OriginResponse, 2);
response_stage!(viewer_response, export_viewer_response, ViewerResponse, 3);
