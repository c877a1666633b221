//! The Rust client of OpenMesh: connect, send, subscribe, request, work an inbox.
