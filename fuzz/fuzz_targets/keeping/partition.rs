//! libFuzzer drives `keeping::partition`.
#![no_main]

openmesh_fuzz::drive!(keeping::partition);
