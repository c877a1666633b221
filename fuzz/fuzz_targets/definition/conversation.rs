//! libFuzzer drives `definition::conversation`.
#![no_main]

openmesh_fuzz::drive!(definition::conversation);
