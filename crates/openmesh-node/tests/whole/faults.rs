//! What goes wrong around a node: power cuts, rotten bits, full disks; and the load under which it does.

mod disk;
pub(crate) mod load;
pub(crate) mod machine;
mod planted;
mod power_cut;
mod rot;
mod surroundings;
pub(crate) mod witness;
