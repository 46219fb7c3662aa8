//! What a device may send: the bytes of a connection, as the local hub reads them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| local_hub::fuzzing::read_from_device(bytes));
