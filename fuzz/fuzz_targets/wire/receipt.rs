//! libFuzzer drives `wire::receipt`.
#![no_main]

openmesh_fuzz::drive!(wire::receipt);
