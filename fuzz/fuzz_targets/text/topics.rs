//! libFuzzer drives `text::topics`.
#![no_main]

openmesh_fuzz::drive!(text::topics);
