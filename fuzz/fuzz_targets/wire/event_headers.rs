//! libFuzzer drives `wire::event_headers`.
#![no_main]

openmesh_fuzz::drive!(wire::event_headers);
