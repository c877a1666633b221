//! libFuzzer drives `definition::expression`.
#![no_main]

openmesh_fuzz::drive!(definition::expression);
