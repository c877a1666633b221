//! The whole program: the real binary, its own process, real agents over the wire.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod doors;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod gathering;
#[cfg(test)]
mod hostile_node;
#[cfg(test)]
mod keeping;
#[cfg(test)]
mod mail;
#[cfg(test)]
mod node;
#[cfg(test)]
mod observing;
#[cfg(test)]
mod patterns;
#[cfg(test)]
mod queries;
#[cfg(test)]
mod raw_agent;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod slow_reader;
#[cfg(test)]
mod tls;
