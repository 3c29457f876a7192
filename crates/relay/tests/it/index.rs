//! The tweak index against a real node: what is in it, through reorganisations and kills.

mod chain;
mod kills;
mod kinds;
mod mint;
mod scene;
mod slow;
