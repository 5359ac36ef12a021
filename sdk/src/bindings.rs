//! What `wit-bindgen` makes of `wit/hook.wit`: the imported functions, and one world for each stage, so that a hook may
//! export one stage or several. Nothing here is public API; the rest of the crate wraps it.

/// The imported functions and the types that all stages share.
pub mod imports {
    wit_bindgen::generate!({
        path: "wit",
        world: "response-imports",
        generate_all,
        pub_export_macro: true,
        disable_custom_section_link_helpers: true,
    });
}

/// Functions that a binding has to grant, and counters. A world of their own, so that only a hook that calls one imports
/// it; the link helpers bring the world's description into such a hook.
pub mod optional {
    wit_bindgen::generate!({
        path: "wit",
        world: "optional-imports",
        generate_all,
        with: { "edgeweir:hook/types@0.1.0": crate::bindings::imports::edgeweir::hook::types },
    });
}

/// Bindings of one stage world: everything but its own export comes from [`imports`].
macro_rules! stage {
    ($module:ident, $world:literal, $export:literal, $path:literal $(, $extra:literal: $module_path:path)?) => {
        #[doc = concat!("Export of the world `", $world, "`.")]
        pub mod $module {
            wit_bindgen::generate!({
                path: "wit",
                world: $world,
                pub_export_macro: true,
                export_macro_name: $export,
                default_bindings_module: $path,
                disable_custom_section_link_helpers: true,
                with: {
                    "edgeweir:hook/types@0.1.0": crate::bindings::imports::edgeweir::hook::types,
                    "edgeweir:hook/request@0.1.0": crate::bindings::imports::edgeweir::hook::request,
                    $($extra: $module_path,)?
                    "edgeweir:hook/viewer@0.1.0": crate::bindings::imports::edgeweir::hook::viewer,
                    "edgeweir:hook/context@0.1.0": crate::bindings::imports::edgeweir::hook::context,
                    "edgeweir:hook/clock@0.1.0": crate::bindings::imports::edgeweir::hook::clock,
                    "edgeweir:hook/random@0.1.0": crate::bindings::imports::edgeweir::hook::random,
                    "edgeweir:hook/log@0.1.0": crate::bindings::imports::edgeweir::hook::log,
                    "edgeweir:hook/crypto@0.1.0": crate::bindings::imports::edgeweir::hook::crypto,
                },
            });
        }
    };
}

stage!(
    settings_check,
    "settings-check-hook",
    "export_settings_check",
    "edgeweir_sdk::__private::bindings::settings_check"
);
stage!(authorizer, "authorizer-hook", "export_authorizer", "edgeweir_sdk::__private::bindings::authorizer");
stage!(
    viewer_request,
    "viewer-request-hook",
    "export_viewer_request",
    "edgeweir_sdk::__private::bindings::viewer_request"
);
stage!(
    origin_request,
    "origin-request-hook",
    "export_origin_request",
    "edgeweir_sdk::__private::bindings::origin_request"
);
stage!(
    origin_response,
    "origin-response-hook",
    "export_origin_response",
    "edgeweir_sdk::__private::bindings::origin_response",
    "edgeweir:hook/response@0.1.0": crate::bindings::imports::edgeweir::hook::response
);
stage!(
    viewer_response,
    "viewer-response-hook",
    "export_viewer_response",
    "edgeweir_sdk::__private::bindings::viewer_response",
    "edgeweir:hook/response@0.1.0": crate::bindings::imports::edgeweir::hook::response
);
