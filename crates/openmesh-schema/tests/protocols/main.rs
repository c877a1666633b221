//! Protocols through the real engine: exhaustive walks, the market step by step, and every check at publish.

mod fixture;
mod market;
mod naive;
mod publish;

mod walk;
