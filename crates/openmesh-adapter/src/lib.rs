//! What every adapter shares: the handle to the mesh, outboxes, shutdown.
