//! The attribute macros of edgeweir-sdk.
