//! The Electrum protocol, from outside the process: with the requests of Sparrow, and with clients that only this
//! protocol serves.

mod backend;
mod hostile;
mod ports;
#[cfg(target_os = "linux")]
mod remains;
mod slow;
mod transcript;
mod wallet;
mod wallet_life;
