//! libFuzzer drives `text::addresses`.
#![no_main]

openmesh_fuzz::drive!(text::addresses);
