//! libFuzzer drives `definition::policy`.
#![no_main]

openmesh_fuzz::drive!(definition::policy);
