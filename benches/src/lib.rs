//! Criterion benches (no sockets) under `benches/`, and in `src/bin` the bare proxy that Edgeweir is measured against.
