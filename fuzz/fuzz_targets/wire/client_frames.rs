//! libFuzzer drives `wire::client_frames`.
#![no_main]

openmesh_fuzz::drive!(wire::client_frames);
