//! Messages as CloudEvents: round trips, refusals, and the scenarios of the HTTP protocol binding.
#![cfg(test)]

mod refusals;
mod round_trips;
mod scenarios;
