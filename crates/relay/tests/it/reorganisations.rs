//! Disconnected blocks and replaced payments: reported payments are reverted and reported again, each once, and in an
//! order that a client can follow step by step.

mod deep;
mod replaced;
mod scene;
mod shallow;
