use edgeweir_sdk::{validate, validate::Problem};

struct Settings;

#[validate]
fn check(_: &Settings) -> Result<(), Problem> {
    Ok(())
}
