//! The policy crate from outside: files in, decisions out.

#[cfg(test)]
mod decisions;
#[cfg(test)]
mod facts;
#[cfg(test)]
mod files;
#[cfg(test)]
mod properties;
