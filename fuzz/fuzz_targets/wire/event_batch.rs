//! libFuzzer drives `wire::event_batch`.
#![no_main]

openmesh_fuzz::drive!(wire::event_batch);
