edgeweir_sdk::data!(static WORDS = include_str!("data_of_text.rs"));
