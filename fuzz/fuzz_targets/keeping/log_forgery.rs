//! libFuzzer drives `keeping::log_forgery`.
#![no_main]

openmesh_fuzz::drive!(keeping::log_forgery);
