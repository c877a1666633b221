//! libFuzzer drives `wire::interned_frames`.
#![no_main]

openmesh_fuzz::drive!(wire::interned_frames);
