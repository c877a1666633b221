"""Bytes: CBOR, digests, signatures, messages, receipts, the handshake, frames. Written after `spec/`."""
