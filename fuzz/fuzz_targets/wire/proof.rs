//! libFuzzer drives `wire::proof`.
#![no_main]

openmesh_fuzz::drive!(wire::proof);
