//! Pages of the docs that say what the code says.

#[cfg(test)]
mod metrics;
