//! libFuzzer drives `definition::duration`.
#![no_main]

openmesh_fuzz::drive!(definition::duration);
