//! Ranges of block heights.

/// The blocks that a subscriber requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heights {
    /// The first.
    pub from: u32,
    /// The last; `None`: the tip.
    pub to: Option<u32>,
}

/// The blocks of a history whose end is known. 64 bits hold the height after the highest one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// The first that is scanned, for the share of progress.
    pub(crate) first: u64,
    /// The lowest block that was not sent.
    pub(crate) next: u64,
    /// The height after the last block.
    pub(crate) end: u64,
}

impl Span {
    /// The requested blocks up to `tip`.
    pub(crate) fn up_to(requested: Heights, tip: u32) -> Self {
        let from = u64::from(requested.from);
        Self {
            first: from,
            next: from,
            end: after(requested.to.unwrap_or(u32::MAX).min(tip)),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.next >= self.end
    }

    /// The blocks that remain, both ends inclusive.
    pub(crate) fn remaining(&self) -> Option<(u32, u32)> {
        let last = self.end.checked_sub(1)?;
        if self.is_over() {
            return None;
        }
        Some((height(self.next), height(last)))
    }

    /// Everything up to this height is sent.
    pub(crate) fn advance(&mut self, through: u32) {
        self.next = self.next.max(after(through).min(self.end));
    }

    /// The block at this height was disconnected. Whether it was history.
    pub(crate) fn end_below(&mut self, height: u32) -> bool {
        let height = u64::from(height);
        let was_history = height < self.end;
        if was_history {
            self.end = height;
            self.next = self.next.min(height);
        }
        was_history
    }
}

/// The height after this one.
pub(crate) fn after(height: u32) -> u64 {
    u64::from(height) + 1
}

/// Of a position in a span; the position after the highest height is that height.
pub(crate) fn height(position: u64) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}
