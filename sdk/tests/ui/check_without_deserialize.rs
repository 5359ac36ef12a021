use edgeweir_sdk::validate::{self, Problem};

struct Settings;

#[validate]
fn check(_: &Settings) -> Result<(), Problem> {
    Ok(())
}
