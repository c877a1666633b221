//! libFuzzer drives `definition::schema`.
#![no_main]

openmesh_fuzz::drive!(definition::schema);
