//! libFuzzer drives `wire::control_attributes`.
#![no_main]

openmesh_fuzz::drive!(wire::control_attributes);
