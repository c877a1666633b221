//! libFuzzer drives `text::names`.
#![no_main]

openmesh_fuzz::drive!(text::names);
