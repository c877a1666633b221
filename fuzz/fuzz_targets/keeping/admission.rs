//! libFuzzer drives `keeping::admission`.
#![no_main]

openmesh_fuzz::drive!(keeping::admission);
