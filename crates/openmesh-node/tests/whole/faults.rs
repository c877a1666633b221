//! What goes wrong around a node: power cuts, rotten bits, full disks; and the load under which it does.

mod disk;
pub(crate) mod load;
pub(crate) mod machine;
mod overload;
mod planted;
mod power_cut;
mod rot;
mod surroundings;
pub(crate) mod witness;

use crate::crash::check;
use crate::crash::model::Model;
use crate::node::Node;
use load::Load;

/// Starts a node that ended again the plain way, and holds everything to what clients saw.
async fn check_after(mut node: Node, load: &Load, mut model: Model) {
    check(&node, &mut model, load);
    node.way.prefix.clear();
    node.restart();
    load.resend_unknown(&node).await;
    load.count_inbox(&node).await;
    load.read_to_the_end(&node).await;
    node.stop();
    check(&node, &mut model, load);
}
