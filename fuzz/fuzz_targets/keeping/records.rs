//! libFuzzer drives `keeping::records`.
#![no_main]

openmesh_fuzz::drive!(keeping::records);
