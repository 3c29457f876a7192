//! What the relay takes from the system besides files: the time of day ([`clock`]), randomness ([`random`]), the
//! network ([`net`]) and threads for blocking work ([`blocking`]).
//!
//! The rest of the code calls these functions and never the system's own, which `scripts/layers` checks. A thread that
//! has entered a [`simulation`] gets seeded randomness, a clock that moves with tokio's, connections in memory, and
//! blocking work that runs as a task of the same thread: two runs with the same seed then do the same. Timers and
//! monotonic time are tokio's, which its test utilities pause and advance.

pub mod blocking;
pub mod clock;
pub mod net;
pub mod random;
pub mod simulation;
