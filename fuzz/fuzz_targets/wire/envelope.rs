//! libFuzzer drives `wire::envelope`.
#![no_main]

openmesh_fuzz::drive!(wire::envelope);
