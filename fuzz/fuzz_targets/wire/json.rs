//! libFuzzer drives `wire::json`.
#![no_main]

openmesh_fuzz::drive!(wire::json);
