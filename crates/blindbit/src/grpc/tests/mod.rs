//! The calls over real connections, answered from an index of synthetic blocks.

mod cancelled;
mod hostile;
mod scene;
mod streams;
mod wire;
