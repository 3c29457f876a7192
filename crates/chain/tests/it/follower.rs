//! The follower against a node in memory, on a paused clock.

mod cases;
mod model;
mod random;
mod replica;
mod run;
mod world;
