//! What functions may import, and what others are told.

use std::cell::Cell;

use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::Declared;
use rquickjs::{Ctx, Exception, Module, Result};

use crate::errors::OURS;

/// Modules of the library, with what each exports by name besides `default`.
const MODULES: [(&str, &[&str]); 8] = [
    ("buffer", &["Buffer"]),
    ("cloudfront", &[]),
    ("crypto", &["createHash", "createHmac", "randomBytes", "timingSafeEqual"]),
    (
        "path",
        &["basename", "dirname", "extname", "isAbsolute", "join", "normalize", "parse", "posix", "resolve", "sep"],
    ),
    ("process", &["nextTick", "platform", "version", "versions"]),
    ("querystring", &["decode", "encode", "escape", "parse", "stringify", "unescape"]),
    ("url", &["URL", "URLSearchParams", "format", "parse", "resolve"]),
    (
        "util",
        &[
            "TextDecoder",
            "TextEncoder",
            "callbackify",
            "deprecate",
            "format",
            "inherits",
            "inspect",
            "isArray",
            "isDeepStrictEqual",
            "promisify",
            "types",
        ],
    ),
];

/// Imports those of CloudFront Functions, so that they are there before any call.
pub(crate) const ALL: &str = "import 'buffer'; import 'cloudfront'; import 'crypto'; import 'querystring';";
/// Imports those that functions of Lambda@Edge have besides.
pub(crate) const OF_NODE: &str = "import 'path'; import 'process'; import 'url'; import 'util';";

/// Those, by name.
const NODE: [&str; 4] = ["path", "process", "url", "util"];

thread_local! {
    /// Whether the library has them.
    static WITH_NODE: Cell<bool> = const { Cell::new(false) };
}

/// Says that the library has them.
pub(crate) fn add_node() {
    WITH_NODE.set(true);
}

/// Finds the library's modules by name.
pub(crate) struct Library;

impl Resolver for Library {
    fn resolve<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        _base: &str,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> Result<String> {
        let short = name.strip_prefix("node:").unwrap_or(name);
        let is_there = !NODE.contains(&short) || WITH_NODE.get();
        if is_there && MODULES.iter().any(|(known, _)| *known == short) {
            return Ok(format!("{OURS}{short}"));
        }
        Err(Exception::throw_message(ctx, &refusal(name)))
    }
}

impl Loader for Library {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> Result<Module<'js, Declared>> {
        let short = name.strip_prefix(OURS).unwrap_or(name);
        let exports = MODULES.iter().find(|(known, _)| *known == short).map_or(&[][..], |(_, exports)| exports);
        let mut source = format!("const m = __edgeweir.{short}; export default m;");
        for export in exports {
            source.push_str(&format!(" export const {export} = m.{export};"));
        }
        Module::declare(ctx.clone(), name, source)
    }
}

/// Why a module cannot be had, and what to do. Starts with its name: `edgeweir hook build` looks for that in the file.
pub(crate) fn refusal(name: &str) -> String {
    let short = name.strip_prefix("node:").unwrap_or(name);
    let top = short.split('/').next().unwrap_or(short);
    let advice = match top {
        _ if name.starts_with('.') || name.starts_with('/') => {
            "a function is one file: bundle it first, with `esbuild fn.js --bundle --format=esm --outfile=bundle.js \
             --external:cloudfront`"
        }
        "aws-sdk" | "@aws-sdk" => "there is no AWS in here: ask an origin of yours, or use a key-value store",
        "fs" | "os" | "child_process" | "cluster" | "worker_threads" => {
            "there is no file system and there are no processes: put what the function needs into the file, or into a \
             key-value store"
        }
        "path" | "process" | "url" | "util" => "CloudFront Functions do not have it, handlers of Lambda@Edge do",
        "net" | "tls" | "dgram" | "dns" | "http" | "https" | "http2" => "there are no sockets",
        _ if short.ends_with(".node") => "native modules cannot run in WASM",
        _ => {
            "there is `crypto`, `querystring`, `url`, `util`, `path`, `buffer` and `cloudfront`; a package has to be bundled into the file, \
             with `esbuild fn.js --bundle --format=esm --outfile=bundle.js --external:cloudfront`"
        }
    };
    format!("'{name}' cannot be imported: {advice}")
}
