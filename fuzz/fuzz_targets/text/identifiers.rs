//! libFuzzer drives `text::identifiers`.
#![no_main]

openmesh_fuzz::drive!(text::identifiers);
