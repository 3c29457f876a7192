//! History, then live: delivers the blocks of the past and those that connect meanwhile, each exactly once.
//!
//! Two state machines, without I/O and without a clock. [`Backfill`] is the sending end: one for each watch, and for
//! each subscription to the topic `tweaks` with `from_height`. [`ResumePoint`] is the receiving end, in the client:
//! from which block it has to request the history after a reconnect. [`HistoryEnd`] finds the end of a history in the
//! log, for a subscriber that still catches up.
//!
//! # The rule
//!
//! A subscriber is live from its registration: what happens in blocks that connect later is sent as it is found. Its
//! history is the requested blocks up to the tip at registration. When one of these is disconnected, the history ends
//! below it: the block that replaces it connects later, and is live. So each block is either below the end of the
//! history and sent by a scan, or above it and sent live; never both, never neither.
//!
//! # States of a [`Backfill`]
//!
//! ```text
//!            settle(tip)                    next > last
//! Waiting ───────────────▶ Scanning ──────────────────────▶ Done
//!    │                        │  ▲
//!    │ live items are         │  │ scanned, skip, disconnected, extend
//!    ▼ sent at once           └──┘ live items are held, or sent at once
//! ```
//!
//! *Waiting*: no tip is known, and so no end of the history. *Scanning*: `next` is the lowest block that is not sent,
//! `last` the highest of the history. *Done*: all is sent, named as missing, or disconnected; [`Backfill::extend`] can
//! make it scan again.
//!
//! | input | effect |
//! |---|---|
//! | [`settle`](Backfill::settle): registered at this tip | sets the end; a request above the tip is done immediately |
//! | [`scanned`](Backfill::scanned): all of a range was found | `next` moves behind it; refused (`None`) if the range does not begin at `next`, because a reorganisation has moved it |
//! | [`skip`](Backfill::skip): a range cannot be read | recorded as missing; `next` moves behind it |
//! | [`disconnected`](Backfill::disconnected) at a height | the history ends below; nothing changes for a height above its end |
//! | a block connects | none: it is live |
//! | [`extend`](Backfill::extend): the chain jumped over blocks | they become history. Live blocks between are sent again: the only exception to the rule |
//! | [`live`](Backfill::live): a live item | held, or returned with all that were held before it |
//! | [`release_stalled`](Backfill::release_stalled): the time | after too long without progress, returns what is held; from then on nothing is held |
//!
//! | output | |
//! |---|---|
//! | [`next`](Backfill::next) | the range to scan, or that there is none |
//! | [`scanned`](Backfill::scanned) | the last height of the range that is history: items above it are not to be sent |
//! | [`live`](Backfill::live), [`release_stalled`](Backfill::release_stalled), [`release`](Backfill::release) | items to send, in the order of their arrival |
//! | [`progress`](Backfill::progress) | 0 first, each further hundredth, newly missing blocks, and 1 exactly once at the end |
//!
//! # What is promised
//!
//! - Each live item is returned exactly once, in the order of arrival.
//! - Unless the limit of held items or of time is exceeded, or live items are [not to wait](Live::AtOnce), all of the
//!   history comes before all live items.
//! - Each requested block that is in the chain is scanned, named as missing, or live. Above [64 ranges](MISSING_RANGES)
//!   of missing blocks the last range also names blocks between them.
//! - Memory is bounded by the limit of held items and by the ranges of missing blocks.
//!
//! The model test (`tests/it/model.rs`) compares random interleavings with a plain model of these promises;
//! `tests/it/resume.rs` connects both ends over connections that break, and shows that no block is lost between them.
//!
//! Heights are block heights, both ends of a range inclusive; all of `u32` is valid. Times are [`std::time::Instant`],
//! and only their differences matter.

#![forbid(unsafe_code)]

mod end;
mod heights;
mod held;
mod missing;
mod progress;
mod resume;
mod sender;

pub use end::HistoryEnd;
pub use heights::Heights;
pub use missing::MISSING_RANGES;
pub use progress::Progress;
pub use resume::ResumePoint;
pub use sender::{Backfill, Limits, Live, NextRange};
