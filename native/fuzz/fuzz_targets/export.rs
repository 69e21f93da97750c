#![no_main]
libfuzzer_sys::fuzz_target!(init: tillage_hardening::let_guards_catch(), |data: &[u8]| {
    tillage_hardening::read("export", data);
});
