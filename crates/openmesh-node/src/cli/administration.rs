//! Running a domain: which topics are kept, which rules hold.

pub(crate) mod policy;
pub(crate) mod topic;
