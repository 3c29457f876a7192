//! `[retention]`: bounds of the event log.

use super::checker::Checker;
use crate::error::ConfigError;
use crate::file::File;

/// Bounds of the event log; the oldest events go first.
#[derive(Clone, Copy, Debug)]
pub struct RetentionConfig {
    /// Events at most.
    pub events: u64,
    /// Bytes of events at most.
    pub bytes: u64,
}

impl RetentionConfig {
    pub(super) fn check(at: &Checker<'_>, file: &File) -> Result<Self, ConfigError> {
        let retention = &file.retention;
        Ok(Self {
            events: at.within("retention.events", retention.events, 1, u64::MAX)?,
            bytes: at.within("retention.megabytes", retention.megabytes, 1, 1 << 30)? * 1_000_000,
        })
    }
}
