//! Keeps messages and state: the embedded, segmented, append-only log.
