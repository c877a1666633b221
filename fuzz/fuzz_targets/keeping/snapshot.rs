//! libFuzzer drives `keeping::snapshot`.
#![no_main]

openmesh_fuzz::drive!(keeping::snapshot);
