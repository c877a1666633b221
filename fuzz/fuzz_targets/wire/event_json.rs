//! libFuzzer drives `wire::event_json`.
#![no_main]

openmesh_fuzz::drive!(wire::event_json);
