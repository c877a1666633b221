//! libFuzzer drives `wire::server_hello`.
#![no_main]

openmesh_fuzz::drive!(wire::server_hello);
