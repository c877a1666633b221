"""A connection to a node: transports, the handshake, one task that reads and one that writes."""
