//! Edgeweir: a self-hosted edge with WASM hooks, cache, geo routing, throttling and API keys
