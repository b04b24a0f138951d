//! See `checks/src/question` of the project: the stable toolchain runs the same function.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nono_checks::question(bytes));
