//! What runs while a hook is built, step by step, and never in a call: the edge's `hookhost::script` calls the steps and keeps
//! the memory that they leave.

use std::cell::RefCell;

use rquickjs::promise::PromiseState;
use rquickjs::{Context, Ctx, Error, Function, Module, Object, Persistent, Runtime, Value, WriteOptions};
use serde::{Deserialize, Serialize};

use crate::errors::{OURS, Thrown};
use crate::{facts, modules, native, system};

/// How deep the language may nest, in bytes of the WASM stack (236 KiB); what is over is a `RangeError`.
const MAX_STACK: usize = 192 << 10;
/// Garbage in cycles is looked for when this much memory is in use, in bytes.
const GC: usize = 4 << 20;
/// The part of the library that is made last, of those for Lambda@Edge.
const LAST_OF_NODE: &str = "lambda";
/// Memory that the build leaves free at the end of the heap, so that a usual call does not have to grow it: an instance that has
/// grown is not used again.
const ROOM: usize = 192 << 10;

/// A function, ready to be called.
pub(crate) struct Engine {
    pub(crate) context: Context,
    /// The library's parts by name, and what they are made with, until the function is there.
    library: Option<(Persistent<Object<'static>>, Persistent<Object<'static>>)>,
    /// The function, and how it is called.
    pub(crate) handler: Option<(Saved, Kind)>,
}

/// How functions of a kind are called: those of CloudFront Functions or of Lambda@Edge.
pub(crate) struct Kind {
    /// Makes the event of a stage and calls the function with it.
    pub(crate) call: Saved,
    /// Takes what came of it.
    pub(crate) finish: Saved,
}

thread_local! {
    static ENGINE: RefCell<Option<Engine>> = const { RefCell::new(None) };
    /// What goes from and to the host.
    static TEXT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The engine; none before it was prepared.
pub(crate) fn engine<R>(look: impl FnOnce(Option<&Engine>) -> R) -> R {
    ENGINE.with_borrow(|engine| look(engine.as_ref()))
}

/// What is to be defined.
#[derive(Deserialize)]
struct Source {
    /// Name of the file, for errors.
    file: String,
    text: String,
}

/// What came of it.
#[derive(Serialize, Default)]
struct Report {
    /// Whether the function is one of Lambda@Edge.
    lambda: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Problem>,
}

#[derive(Serialize)]
struct Problem {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
}

impl From<String> for Problem {
    fn from(message: String) -> Self {
        Self { message, line: None, column: None }
    }
}

/// A step:
/// 0 makes the language; returns a report.
/// 1 makes room for `length` bytes, for the steps after it; returns where.
/// 2 defines the function of the source that the host has put there, as JSON; returns a report.
/// 3 compiles the part of the library that the host has put there, as JSON; returns what 4 takes, or nothing. An instance that
///   has done this is not kept: what compiling leaves would be cleared after each call of each hook.
/// 4 makes the part of the library that the host has put there, compiled; returns a report.
/// 5 imports what all functions have, once its parts are made; returns a report.
///
/// A report is JSON. What is returned is an address in the upper half, and a length in the lower.
pub(crate) fn step(step: u32, length: u32) -> u64 {
    if step == 1 {
        return TEXT.with_borrow_mut(|text| {
            *text = vec![0; length as usize];
            address(text)
        });
    }
    let given = TEXT.take();
    let json = |error: serde_json::Error| Problem::from(error.to_string());
    let done = match step {
        0 => prepare().map(|()| false),
        2 => serde_json::from_slice(&given).map_err(json).and_then(|source: Source| {
            drop(given);
            let defined = define(&source);
            leave_room();
            defined
        }),
        3 => {
            let compiled = serde_json::from_slice(&given).ok().and_then(|source: Source| compiled(&source));
            return TEXT.with_borrow_mut(|text| {
                *text = compiled.unwrap_or_default();
                address(text)
            });
        }
        4 => make(&given).map(|()| false),
        _ => import_all().map(|()| false),
    };
    let report = match done {
        Ok(lambda) => Report { lambda, error: None },
        Err(error) => Report { lambda: false, error: Some(error) },
    };
    TEXT.with_borrow_mut(|text| {
        *text = serde_json::to_vec(&report).unwrap_or_default();
        address(text)
    })
}

fn address(text: &[u8]) -> u64 {
    (text.as_ptr().addr() as u64) << 32 | text.len() as u64
}

/// Has the heap grow now.
fn leave_room() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(ROOM)));
}

fn prepare() -> Result<(), Problem> {
    let plain = |error: Error| Problem::from(error.to_string());
    let runtime = Runtime::new().map_err(plain)?;
    runtime.set_max_stack_size(MAX_STACK);
    runtime.set_gc_threshold(GC);
    runtime.set_loader(modules::Library, modules::Library);
    let context = Context::full(&runtime).map_err(plain)?;
    let library = context.with(|ctx| -> rquickjs::Result<_> {
        let (native, parts) = (native::object(&ctx)?, Object::new(ctx.clone())?);
        ctx.globals().set("__edgeweir", parts.clone())?;
        Ok((Persistent::save(&ctx, native), Persistent::save(&ctx, parts)))
    });
    let library = Some(library.map_err(plain)?);
    ENGINE.with_borrow_mut(|engine| *engine = Some(Engine { context, library, handler: None }));
    Ok(())
}

pub(crate) type Saved = Persistent<Function<'static>>;

/// What an engine is not without.
fn context() -> Result<Context, Problem> {
    let context = engine(|engine| engine.map(|engine| engine.context.clone()));
    context.ok_or_else(|| Problem::from("the engine was not prepared".to_owned()))
}

/// A part of the library without its text: its name, a zero, and what the language made of it.
fn compiled(part: &Source) -> Option<Vec<u8>> {
    context().ok()?.with(|ctx| {
        let module = Module::declare(ctx, format!("{OURS}part:{}", part.file), &*part.text).ok()?;
        let code = module.write(WriteOptions { strip_source: true, ..WriteOptions::default() }).ok()?;
        Some([part.file.as_bytes(), &[0], &code].concat())
    })
}

/// Makes a part of the library, of what [`compiled`] made in another instance.
fn make(part: &[u8]) -> Result<(), Problem> {
    let library = engine(|engine| engine.and_then(|engine| engine.library.clone()));
    let (native, parts) =
        library.ok_or_else(|| Problem::from("the engine was not prepared, or has its function".to_owned()))?;
    let name = part.split(|&byte| byte == 0).next().and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
    context()?.with(|ctx| {
        let made = || {
            let code: &[u8] = part.get(name.len() + 1..).unwrap_or_default();
            let (module, evaluated) = system::module(&ctx, code)?.eval()?;
            evaluated.finish::<()>()?;
            let make: Function<'_> = module.get("default")?;
            let parts = parts.restore(&ctx)?;
            let made: Value<'_> = make.call((native.restore(&ctx)?, parts.clone()))?;
            parts.set(name, made)
        };
        made().map_err(|error| Problem::from(Thrown::of(&ctx, error).line()))
    })?;
    if name == LAST_OF_NODE {
        modules::add_node();
    }
    Ok(())
}

fn import_all() -> Result<(), Problem> {
    context()?.with(|ctx| {
        let imported = Module::evaluate(ctx.clone(), format!("{OURS}all"), modules::ALL);
        let imported = imported.and_then(|imported| imported.finish::<()>());
        imported.map_err(|error| Problem::from(Thrown::of(&ctx, error).line()))
    })
}

/// Ends the source: leaves the function where it is found. The first line end ends a comment.
const EPILOGUE: &str = "\n;globalThis.__edgeweir_handler = typeof handler === 'function' ? handler : undefined;";
/// What only functions of Lambda@Edge find, also where a file that speaks of exports is none.
const OF_NODE: [&str; 9] =
    ["exports", "module", "global", "process", "URL", "URLSearchParams", "fetch", "Headers", "Response"];
/// Defines the function; whether it is one of Lambda@Edge.
fn define(source: &Source) -> Result<bool, Problem> {
    let context = context()?;
    let library = ENGINE.with_borrow_mut(|engine| engine.as_mut().and_then(|engine| engine.library.take()));
    let library = library.ok_or_else(|| Problem::from("the library was not made".to_owned()))?;
    let (handler, kind, lambda) = context.with(|ctx| {
        let thrown = |error: Error| {
            let thrown = Thrown::of(&ctx, error);
            let place = thrown.place().filter(|(file, ..)| *file == source.file);
            let (line, column) = place.map(|(_, line, column)| (line, column)).unzip();
            Problem { message: thrown.message, line, column }
        };
        let globals = ctx.globals();
        let parts = library.1.restore(&ctx).map_err(thrown)?;
        let (module, exports) = (Object::new(ctx.clone()), Object::new(ctx.clone()));
        let (module, exports) = (module.map_err(thrown)?, exports.map_err(thrown)?);
        let set = module.set("exports", exports.clone()).and_then(|()| globals.set("exports", exports));
        set.and_then(|()| globals.set("module", module.clone())).map_err(thrown)?;
        let exported = run(&ctx, source, thrown)?;
        let assigned = module.get::<_, Value<'_>>("exports").map_err(thrown)?;
        let assigned = assigned.as_object().map(|exports| exports.get::<_, Value<'_>>("handler")).transpose();
        let own: Value<'_> = globals.get("__edgeweir_handler").map_err(thrown)?;
        globals.remove("__edgeweir_handler").map_err(thrown)?;
        let of_lambda = function(exported).or_else(|| function(assigned.ok().flatten()));
        let lambda = of_lambda.is_some();
        let Some(handler) = of_lambda.or_else(|| function(Some(own))) else {
            return Err(Problem::from(
                "it has no function `handler`: a CloudFront Function is `function handler(event) { … }`, one of Lambda@Edge \
                 `exports.handler = …` or `export const handler = …`"
                    .to_owned(),
            ));
        };
        let kind = kind(&ctx, &parts, lambda).map_err(thrown)?;
        let handler = Persistent::save(&ctx, handler);
        facts::want(&source.text);
        Ok((handler, kind, lambda))
    })?;
    ENGINE.with_borrow_mut(|engine| {
        if let Some(engine) = engine {
            engine.handler = Some((handler, kind));
        }
    });
    context.with(|ctx| ctx.run_gc());
    Ok(lambda)
}

/// How functions of a kind are called, by the part of the library that does it. What the other kind has besides goes.
fn kind<'js>(ctx: &Ctx<'js>, parts: &Object<'js>, lambda: bool) -> rquickjs::Result<Kind> {
    let globals = ctx.globals();
    if lambda {
        Module::evaluate(ctx.clone(), format!("{OURS}node"), modules::OF_NODE)?.finish::<()>()?;
    } else {
        for name in OF_NODE {
            globals.remove(name)?;
        }
    }
    globals.remove("__edgeweir")?;
    let made: Object<'js> = parts.get(if lambda { "lambda" } else { "events" })?;
    let (call, finish): (Function<'js>, Function<'js>) = (made.get("call")?, made.get("finish")?);
    Ok(Kind { call: Persistent::save(ctx, call), finish: Persistent::save(ctx, finish) })
}

fn function(value: Option<Value<'_>>) -> Option<Function<'_>> {
    value.and_then(Value::into_function)
}

/// Runs the top-level code; what it exports as `handler`.
fn run<'js>(
    ctx: &Ctx<'js>,
    source: &Source,
    thrown: impl Fn(Error) -> Problem + Copy,
) -> Result<Option<Value<'js>>, Problem> {
    let text = format!("{}{EPILOGUE}", source.text);
    let module = Module::declare(ctx.clone(), source.file.as_str(), text).map_err(thrown)?;
    let (module, promise) = module.eval().map_err(thrown)?;
    while promise.state() == PromiseState::Pending && ctx.execute_pending_job() {}
    match promise.result::<Value<'_>>() {
        None => return Err(Problem::from("its top-level code waits for something that never comes".to_owned())),
        Some(result) => result.map_err(thrown)?,
    };
    while ctx.execute_pending_job() {}
    let names = module.namespace().map_err(thrown)?;
    if names.contains_key("handler").map_err(thrown)? {
        names.get("handler").map(Some).map_err(thrown)
    } else {
        Ok(None)
    }
}
