//! libFuzzer drives `definition::protocol`.
#![no_main]

openmesh_fuzz::drive!(definition::protocol);
