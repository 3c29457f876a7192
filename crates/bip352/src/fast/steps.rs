//! Times of the steps of a scan: reads the clock once per step of a batch of hundreds of rows.

use std::time::{Duration, Instant};

/// A step of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Reading rows: their points and outputs in words.
    Rows,
    /// Tables of the tweak points' multiples.
    Tables,
    /// b·T.
    ScanKey,
    /// SHA-256, and the digits of its result.
    Hash,
    /// t·G.
    Generator,
    /// Adding the receiver's keys, and comparing.
    Keys,
}

impl Step {
    /// All of them, in their order.
    pub const ALL: [Self; 6] = [
        Self::Rows,
        Self::Tables,
        Self::ScanKey,
        Self::Hash,
        Self::Generator,
        Self::Keys,
    ];

    /// Name for display.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rows => "reading rows",
            Self::Tables => "tables of T",
            Self::ScanKey => "b·T",
            Self::Hash => "SHA-256 and digits",
            Self::Generator => "t·G",
            Self::Keys => "keys, comparison",
        }
    }
}

/// The time of each step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    last: Instant,
    spent: [Duration; Step::ALL.len()],
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            last: Instant::now(),
            spent: [Duration::ZERO; Step::ALL.len()],
        }
    }

    /// Adds the time since the last call to this step.
    pub(crate) fn lap(&mut self, step: Step) {
        let now = Instant::now();
        self.spent[step as usize] += now - self.last;
        self.last = now;
    }

    pub(crate) fn spent(&self) -> [(Step, Duration); Step::ALL.len()] {
        Step::ALL.map(|step| (step, self.spent[step as usize]))
    }
}
