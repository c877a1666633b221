//! What goes wrong around a node: power cuts, rotten bits, full disks; and the load under which it does.

pub(crate) mod load;
pub(crate) mod machine;
mod power_cut;
pub(crate) mod witness;
