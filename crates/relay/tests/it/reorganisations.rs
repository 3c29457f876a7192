//! Blocks that leave the best chain, and payments that others take the place of: what was told is taken back, what
//! holds is told again, each once, and in an order that a client can follow step by step.

mod deep;
mod replaced;
mod scene;
mod shallow;
