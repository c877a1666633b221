//! libFuzzer drives `text::times`.
#![no_main]

openmesh_fuzz::drive!(text::times);
