//! The attribute macros of edgeweir-sdk: each turns a function into the export of one stage. They know the shape of a
//! hook function, so that a wrong one gets an error at the place that is wrong; types are the compiler's to check.

mod validate;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Error, FnArg, ItemFn, ReturnType, Type, parse_macro_input};

/// Makes a function the hook of the stage viewer-request: `fn(&Request) -> Result<viewer_request::Verdict>`.
#[proc_macro_attribute]
pub fn viewer_request(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(&VIEWER_REQUEST, arguments, item)
}

/// Makes a function the hook of the stage origin-request: `fn(&Request) -> Result<origin_request::Verdict>`.
#[proc_macro_attribute]
pub fn origin_request(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(&ORIGIN_REQUEST, arguments, item)
}

/// Makes a function the hook of the stage origin-response: `fn(&Request, &Response) -> Result<origin_response::Edits>`.
#[proc_macro_attribute]
pub fn origin_response(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(&ORIGIN_RESPONSE, arguments, item)
}

/// Makes a function the hook of the stage viewer-response: `fn(&Request, &Response) -> Result<viewer_response::Edits>`.
#[proc_macro_attribute]
pub fn viewer_response(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(&VIEWER_RESPONSE, arguments, item)
}

/// Makes a function an authorizer: `fn(&Request) -> Result<authorizer::Verdict>`. See `edgeweir_sdk::authorizer`.
#[proc_macro_attribute]
pub fn authorizer(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(&AUTHORIZER, arguments, item)
}

/// Makes a function the check of a binding's settings: `fn(&Settings) -> Result<(), validate::Problem>`, where `Settings`
/// is what the hook reads its settings into. See `edgeweir_sdk::validate`.
#[proc_macro_attribute]
pub fn validate(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = Tokens::from(arguments);
    let function = parse_macro_input!(item as ItemFn);
    match validate::export(&arguments, &function) {
        Ok(tokens) => tokens.into(),
        Err(error) => {
            let errors = error.into_compile_error();
            quote!(#function #errors).into()
        }
    }
}

/// What the macros differ in.
struct Stage {
    /// Name of the attribute, of the SDK's modules and of the entry point.
    name: &'static str,
    /// Name of the entry point's return type.
    reply: &'static str,
    /// Parameters of the hook function, as people write them.
    parameters: &'static [&'static str],
    /// Return type of the hook function, as people write it.
    returns: &'static str,
}

const VIEWER_REQUEST: Stage = Stage {
    name: "viewer_request",
    reply: "ViewerRequestReply",
    parameters: &["request: &Request"],
    returns: "Result<viewer_request::Verdict>",
};

const ORIGIN_REQUEST: Stage = Stage {
    name: "origin_request",
    reply: "OriginRequestReply",
    parameters: &["request: &Request"],
    returns: "Result<origin_request::Verdict>",
};

const ORIGIN_RESPONSE: Stage = Stage {
    name: "origin_response",
    reply: "OriginResponseReply",
    parameters: &["request: &Request", "response: &Response"],
    returns: "Result<origin_response::Edits>",
};

const VIEWER_RESPONSE: Stage = Stage {
    name: "viewer_response",
    reply: "ViewerResponseReply",
    parameters: &["request: &Request", "response: &Response"],
    returns: "Result<viewer_response::Edits>",
};

const AUTHORIZER: Stage = Stage {
    name: "authorizer",
    reply: "AuthorizerReply",
    parameters: &["request: &Request"],
    returns: "Result<authorizer::Verdict>",
};

fn expand(stage: &Stage, arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = Tokens::from(arguments);
    let function = parse_macro_input!(item as ItemFn);
    match export(stage, &arguments, &function) {
        Ok(tokens) => tokens.into(),
        Err(error) => {
            // The function stays, so that the only errors are the ones meant.
            let errors = error.into_compile_error();
            quote!(#function #errors).into()
        }
    }
}

fn export(stage: &Stage, arguments: &Tokens, function: &ItemFn) -> Result<Tokens, Error> {
    check(stage, arguments, function)?;
    let hook = &function.sig.ident;
    let module = format_ident!("{}", stage.name);
    let reply = format_ident!("{}", stage.reply);
    let export = format_ident!("export_{}", stage.name);
    let path = quote!(::edgeweir_sdk::__private);
    // The call carries the place of the return type, where the compiler then reports a type that does not fit.
    let place = match &function.sig.output {
        ReturnType::Type(_, returned) => returned.span(),
        ReturnType::Default => hook.span(),
    };
    let entry = format_ident!("{}", stage.name, span = place);
    let run = quote_spanned!(place=> ::edgeweir_sdk::__private::entry::#entry(#hook));
    Ok(quote! {
        #function

        const _: () = {
            struct Hook;

            impl #path::bindings::#module::exports::edgeweir::hook::#module::Guest for Hook {
                fn handle() -> #path::entry::#reply {
                    #run
                }
            }

            // Only in WASM: two hooks linked into one native test would export the same symbol.
            #[cfg(target_arch = "wasm32")]
            #path::bindings::#module::#export!(Hook with_types_in #path::bindings::#module);
            #[cfg(not(target_arch = "wasm32"))]
            const _: fn() -> #path::entry::#reply =
                <Hook as #path::bindings::#module::exports::edgeweir::hook::#module::Guest>::handle;
        };
    })
}

/// What syntax alone can tell.
fn check(stage: &Stage, arguments: &Tokens, function: &ItemFn) -> Result<(), Error> {
    let signature = &function.sig;
    let expected = format!("fn {}({}) -> {}", signature.ident, stage.parameters.join(", "), stage.returns);
    let refuse = |place: &dyn quote::ToTokens, problem: &str| {
        Err(Error::new_spanned(place, format!("{problem}; a hook at this stage is `{expected}`")))
    };
    if !arguments.is_empty() {
        return refuse(arguments, &format!("`#[{}]` takes no arguments", stage.name));
    }
    if let Some(token) = &signature.asyncness {
        return refuse(token, "a hook is not `async`: imported functions return when they are done");
    }
    if let Some(token) = &signature.unsafety {
        return refuse(token, "a hook is not `unsafe`");
    }
    if let Some(token) = &signature.abi {
        return refuse(token, "a hook is a plain Rust function");
    }
    if !signature.generics.params.is_empty() {
        return refuse(&signature.generics, "a hook has no generic parameters");
    }
    if signature.inputs.len() != stage.parameters.len() {
        let count = stage.parameters.len();
        let noun = if count == 1 { "parameter" } else { "parameters" };
        return match signature.inputs.is_empty() {
            true => refuse(&signature.ident, &format!("this stage takes {count} {noun}")),
            false => refuse(&signature.inputs, &format!("this stage takes {count} {noun}")),
        };
    }
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(receiver) => return refuse(receiver, "a hook is a free function"),
            FnArg::Typed(parameter) => match &*parameter.ty {
                Type::Reference(reference) if reference.mutability.is_none() => {}
                other => return refuse(other, "a hook borrows what it reads"),
            },
        }
    }
    if matches!(signature.output, ReturnType::Default) {
        return refuse(&signature.ident, "a hook returns what it decided");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(stage: &Stage, function: &str) -> String {
        let function = syn::parse_str(function).expect("a function");
        match export(stage, &Tokens::new(), &function) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_right_signature_passes() {
        assert_eq!(problem(&VIEWER_REQUEST, "fn f(request: &Request) -> Result<viewer_request::Verdict> { g() }"), "");
        assert_eq!(problem(&VIEWER_RESPONSE, "pub fn f(_: &Request, _: &Response) -> Result<Edits> { g() }"), "");
    }

    #[test]
    fn a_wrong_one_says_what_is_expected() {
        let wrong = [
            (&VIEWER_REQUEST, "fn f() -> R { g() }", "this stage takes 1 parameter;"),
            (&ORIGIN_RESPONSE, "fn f(request: &Request) -> R { g() }", "this stage takes 2 parameters;"),
            (&VIEWER_REQUEST, "fn f(request: Request) -> R { g() }", "a hook borrows what it reads;"),
            (&VIEWER_REQUEST, "fn f(request: &mut Request) -> R { g() }", "a hook borrows what it reads;"),
            (&VIEWER_REQUEST, "fn f(request: &Request) { g() }", "a hook returns what it decided;"),
            (&VIEWER_REQUEST, "async fn f(request: &Request) -> R { g() }", "a hook is not `async`"),
            (&VIEWER_REQUEST, "fn f<T>(request: &Request) -> R { g() }", "a hook has no generic parameters;"),
            (&VIEWER_REQUEST, "fn f(&self) -> R { g() }", "a hook is a free function;"),
            (&VIEWER_REQUEST, "extern \"C\" fn f(request: &Request) -> R { g() }", "a hook is a plain Rust function;"),
        ];
        for (stage, function, message) in wrong {
            let problem = problem(stage, function);
            assert!(problem.starts_with(message), "{function}: {problem}");
            assert!(problem.contains("a hook at this stage is `fn f(request: &Request"), "{problem}");
        }
    }

    #[test]
    fn arguments_are_refused() {
        let function = syn::parse_str("fn f(request: &Request) -> R { g() }").expect("a function");
        let error = check(&VIEWER_REQUEST, &quote!(fast), &function).expect_err("an argument");
        assert!(error.to_string().starts_with("`#[viewer_request]` takes no arguments;"), "{error}");
    }
}
