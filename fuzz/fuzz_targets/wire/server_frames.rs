//! libFuzzer drives `wire::server_frames`.
#![no_main]

openmesh_fuzz::drive!(wire::server_frames);
