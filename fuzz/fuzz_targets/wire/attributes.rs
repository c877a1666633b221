//! libFuzzer drives `wire::attributes`.
#![no_main]

openmesh_fuzz::drive!(wire::attributes);
