//! The program `openmesh`.

fn main() {}
