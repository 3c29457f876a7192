//! The WebSocket API as specified by its contract, sentence by sentence, from outside the process. Tests of minutes run
//! on a paused clock ([`clock`]).

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
