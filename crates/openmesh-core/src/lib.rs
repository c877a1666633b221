//! A partition of the mesh as a state machine: what should happen, never doing it.
