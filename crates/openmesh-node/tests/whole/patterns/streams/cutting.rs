//! A way to a node that can be cut, and that stays where it is when the node moves.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Takes connections and carries their bytes to a node, until they are cut.
pub(super) struct Way {
    pub(super) address: SocketAddr,
    to: Arc<Mutex<SocketAddr>>,
    carried: Arc<Mutex<Vec<JoinHandle<()>>>>,
    accepting: JoinHandle<()>,
}

impl Way {
    pub(super) async fn to(node: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (to, carried) = (Arc::new(Mutex::new(node)), Arc::new(Mutex::new(Vec::new())));
        let (node, all) = (Arc::clone(&to), Arc::clone(&carried));
        let accepting = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let node: SocketAddr = *node.lock().unwrap();
                let carry = async move {
                    if let Ok(mut far) = TcpStream::connect(node).await {
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                    }
                };
                all.lock().unwrap().push(tokio::spawn(carry));
            }
        });
        Self { address, to, carried, accepting }
    }

    /// Cuts every connection; what is under way is lost.
    pub(super) fn cut(&self) {
        for carried in self.carried.lock().unwrap().drain(..) {
            carried.abort();
        }
    }

    pub(super) fn lead_to(&self, node: SocketAddr) {
        *self.to.lock().unwrap() = node;
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}
