//! Writes the JSON Schema of the configuration to standard output: `cargo run -p edgeweir-config --example schema`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    std::io::stdout().lock().write_all(edgeweir_config::json_schema().as_bytes())
}
