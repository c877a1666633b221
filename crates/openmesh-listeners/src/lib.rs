//! How agents connect: the native protocol.
