//! The client against a mock of a node (`peer.rs`), which each test scripts frame by frame. Tests against the
//! real node live with the node; these pin down what a client does when a node is slow, hostile or gone.

mod handshake;
mod inbox;
mod peer;
mod requests;
mod sends;
mod subscriptions;
