//! HTTP from outside: the real binary, real sockets, requests written by hand.
#![cfg(test)]

mod browser;
mod client;
mod forms;
mod refusals;
mod streams;
mod verbs;
