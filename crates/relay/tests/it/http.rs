//! The HTTP API according to its contract, from outside the process.

mod away;
mod documents;
mod errors;
mod half_close;
mod metric_names;
mod metrics;
mod secrets;
mod shapes;
mod transactions;
