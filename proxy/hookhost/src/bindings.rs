//! Bindings generated from the contract (`sdk/wit`): the interfaces that this version provides and the four stages.
//! `key-value` and `secrets` are linked by hand (`host::grants`), so that no value is copied on its way to the hook.

wasmtime::component::bindgen!({
    path: "../../sdk/wit",
    inline: "
        package edgeweir:hookhost;

        world host {
            include edgeweir:hook/response-imports@0.1.0;
            import edgeweir:hook/metrics@0.1.0;
            import edgeweir:hook/jwks@0.1.0;
            import edgeweir:hook/fetch@0.1.0;
            import edgeweir:hook/body@0.1.0;
            import edgeweir:hook/data@0.1.0;
            import edgeweir:hook/origins@0.1.0;
            export edgeweir:hook/settings-check@0.1.0;
            export edgeweir:hook/authorizer@0.1.0;
            export edgeweir:hook/viewer-request@0.1.0;
            export edgeweir:hook/origin-request@0.1.0;
            export edgeweir:hook/origin-response@0.1.0;
            export edgeweir:hook/viewer-response@0.1.0;
        }
    ",
    imports: {
        "edgeweir:hook/fetch.send": async | trappable,
        "edgeweir:hook/jwks.verify": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});

pub(crate) use edgeweir::hook as imports;
pub(crate) use exports::edgeweir::hook as stages;
