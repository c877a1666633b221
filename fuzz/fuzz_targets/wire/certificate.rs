//! libFuzzer drives `wire::certificate`.
#![no_main]

openmesh_fuzz::drive!(wire::certificate);
