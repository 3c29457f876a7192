//! When and what to report of a history.

use sdk_relay_protocol::MissingBlocks;

use crate::heights::{Span, height};
use crate::missing::Missing;

/// Progress is reported in steps of this much.
const STEP: f64 = 0.01;

/// The progress of a history.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The share of the blocks that are sent, from 0 to 1. Blocks that were missing at the beginning do not count.
    pub share: f64,
    /// All requested blocks up to this height are sent, or missing.
    pub height: u32,
    /// The missing blocks, if there are new ones, or at the end; otherwise empty.
    pub missing: Vec<MissingBlocks>,
}

/// What was reported.
#[derive(Debug, Default)]
pub(crate) struct Reported {
    share: Option<f64>,
}

impl Reported {
    /// The report that is due. `tip`: a history that lies above the tip ends there.
    pub(crate) fn due(&mut self, span: &Span, missing: &mut Missing, tip: u32) -> Option<Progress> {
        let is_over = span.is_over();
        #[expect(clippy::cast_precision_loss, reason = "heights have 33 bits at most")]
        let share = if is_over {
            1.0
        } else {
            span.next.saturating_sub(span.first) as f64 / span.end.saturating_sub(span.first).max(1) as f64
        };
        let share = share.clamp(self.share.unwrap_or(0.0), 1.0);
        let is_due = self
            .share
            .is_none_or(|last| share >= last + STEP || (share >= 1.0 && last < 1.0) || missing.is_unreported());
        if !is_due || self.share.is_some_and(|last| last >= 1.0) {
            return None;
        }
        self.share = Some(share);
        let with_missing = missing.is_unreported() || is_over;
        missing.set_reported();
        Some(Progress {
            share,
            height: height(span.next.saturating_sub(1)).min(tip),
            missing: if with_missing {
                missing.ranges().to_vec()
            } else {
                Vec::new()
            },
        })
    }
}
