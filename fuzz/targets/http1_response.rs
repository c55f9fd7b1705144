#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferryway_fuzz::property("http1_response")(data));
