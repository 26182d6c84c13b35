#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kirosu_protocol::fuzzing::frame(bytes));
