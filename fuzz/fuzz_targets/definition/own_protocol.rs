//! libFuzzer drives `definition::own_protocol`.
#![no_main]

openmesh_fuzz::drive!(definition::own_protocol);
