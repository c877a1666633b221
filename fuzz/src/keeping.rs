//! What is taken in, kept, and read back: admission, the partition, its records and snapshots, the log on disk.

pub mod admission;
mod disk;
mod examine;
pub mod log_damage;
pub mod log_forgery;
pub mod partition;
pub mod records;
pub mod snapshot;
mod stage;
