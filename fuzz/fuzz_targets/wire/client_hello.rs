//! libFuzzer drives `wire::client_hello`.
#![no_main]

openmesh_fuzz::drive!(wire::client_hello);
