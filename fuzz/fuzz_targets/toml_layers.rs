#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| kirosu_config::fuzzing::toml_layers(text));
