//! The WebSocket API as its contract has it, sentence by sentence, from outside the process; what takes minutes, on a
//! paused clock ([`clock`]).

mod clock;
mod closing;
mod errors;
mod handshake;
mod limits;
mod relays;
mod resume;
mod sync;
mod topics;
mod watches;
