//! The words of the mesh: ids, addresses, topics, envelope, performatives, signatures, codec, limits.
