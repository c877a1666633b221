//! A partition under a seed: lost, reordered and repeated inputs, crashes, clock jumps; a reference model beside it.
//!
//! Read `world.rs` (one run), then `node.rs` (how plans are kept and performed), `model.rs` (what must be true).

mod agent;
mod census;
mod checks;
mod conversing;
mod crowd;
pub mod history;
mod log;
mod misdeeds;
mod model;
mod node;
mod policies;
mod random;
mod run;
mod violation;
mod world;

pub use census::Census;
pub use node::NodeBug;
pub use run::{Options, Report, run, run_many};
pub use violation::Violation;
