//! The attribute `validate`: a function of settings becomes the export `settings-check`.

use proc_macro2::TokenStream as Tokens;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Error, FnArg, ItemFn, ReturnType, Type};

pub(crate) fn export(arguments: &Tokens, function: &ItemFn) -> Result<Tokens, Error> {
    check(arguments, function)?;
    let name = &function.sig.ident;
    let path = quote!(::edgeweir_sdk::__private);
    let place = match &function.sig.output {
        ReturnType::Type(_, returned) => returned.span(),
        ReturnType::Default => name.span(),
    };
    let run = quote_spanned!(place=> ::edgeweir_sdk::__private::validate(#name, &settings));
    Ok(quote! {
        #function

        const _: () = {
            struct Check;

            impl #path::bindings::settings_check::exports::edgeweir::hook::settings_check::Guest for Check {
                fn validate(settings: ::std::string::String) -> #path::Reply {
                    #path::reply(#run)
                }
            }

            // Only in WASM: two hooks linked into one native test would export the same symbol.
            #[cfg(target_arch = "wasm32")]
            #path::bindings::settings_check::export_settings_check!(
                Check with_types_in #path::bindings::settings_check
            );
            #[cfg(not(target_arch = "wasm32"))]
            const _: fn(::std::string::String) -> #path::Reply =
                <Check as #path::bindings::settings_check::exports::edgeweir::hook::settings_check::Guest>::validate;
        };
    })
}

/// What syntax alone can tell.
fn check(arguments: &Tokens, function: &ItemFn) -> Result<(), Error> {
    let signature = &function.sig;
    let refuse = |place: &dyn quote::ToTokens, problem: &str| {
        let expected = format!("fn {}(settings: &Settings) -> Result<(), validate::Problem>", signature.ident);
        Err(Error::new_spanned(place, format!("{problem}; a check of settings is `{expected}`")))
    };
    if !arguments.is_empty() {
        return refuse(arguments, "`#[validate]` takes no arguments");
    }
    if let Some(token) = &signature.asyncness {
        return refuse(token, "a check is not `async`");
    }
    if !signature.generics.params.is_empty() {
        return refuse(&signature.generics, "a check has no generic parameters");
    }
    let mut inputs = signature.inputs.iter();
    match (inputs.next(), inputs.next()) {
        (Some(FnArg::Typed(parameter)), None) if is_borrowed(&parameter.ty) => {}
        (Some(FnArg::Typed(parameter)), None) => return refuse(&parameter.ty, "a check borrows the settings"),
        _ => return refuse(&signature.ident, "a check takes one parameter"),
    }
    if matches!(signature.output, ReturnType::Default) {
        return refuse(&signature.ident, "a check returns what it found");
    }
    Ok(())
}

fn is_borrowed(parameter: &Type) -> bool {
    matches!(parameter, Type::Reference(reference) if reference.mutability.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures() {
        let problem = |function: &str| {
            let function = syn::parse_str(function).expect("a function");
            export(&Tokens::new(), &function).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(problem("fn check(settings: &Settings) -> Result<()> { g() }"), "");
        for (function, start) in [
            ("fn check() -> R { g() }", "a check takes one parameter;"),
            ("fn check(a: A, b: B) -> R { g() }", "a check takes one parameter;"),
            ("fn check(settings: Settings) -> R { g() }", "a check borrows the settings;"),
            ("fn check(settings: &Settings) { g() }", "a check returns what it found;"),
            ("async fn check(settings: &Settings) -> R { g() }", "a check is not `async`;"),
        ] {
            let problem = problem(function);
            assert!(problem.starts_with(start), "{function}: {problem}");
            assert!(problem.contains("fn check(settings: &Settings) -> Result<(), validate::Problem>"), "{problem}");
        }
    }
}
