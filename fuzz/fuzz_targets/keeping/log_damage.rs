//! libFuzzer drives `keeping::log_damage`.
#![no_main]

openmesh_fuzz::drive!(keeping::log_damage);
