//! The client against a mock of a node (`peer.rs`), which each test scripts frame by frame. Tests against the
//! real node live with the node; these pin down what a client does when a node is slow, hostile or gone.

// The lints allow panics in what is marked as a test, helpers of tests included.
#[cfg(test)]
mod handshake;
#[cfg(test)]
mod inbox;
#[cfg(test)]
mod kept_keys;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod sends;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod subscriptions;
