//! libFuzzer drives `wire::client_auth`.
#![no_main]

openmesh_fuzz::drive!(wire::client_auth);
