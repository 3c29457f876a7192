//! Time of day, and monotonic time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

use crate::simulation;

/// The time of day.
pub fn now() -> SystemTime {
    simulation::time_of_day().unwrap_or_else(SystemTime::now)
}

/// Now, in Unix seconds; 0 on a machine whose clock stands before 1970.
pub fn unix_now() -> u64 {
    now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Monotonic time for code that does not use tokio's `Instant`. It stands still while tokio's clock is paused.
pub fn monotonic() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// A time since 1970 for people, to the minute: `2026-11-30 08:00 UTC`.
pub fn date_and_minute(since_1970: Duration) -> String {
    let at = i64::try_from(since_1970.as_secs()).map(OffsetDateTime::from_unix_timestamp);
    match at {
        Ok(Ok(at)) => format!("{} {:02}:{:02} UTC", at.date(), at.hour(), at.minute()),
        _ => "a date after the year 9999".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (second, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (253_402_300_799, "9999-12-31 23:59 UTC"),
            (253_402_300_800, "a date after the year 9999"),
            (u64::MAX, "a date after the year 9999"),
        ] {
            assert_eq!(date_and_minute(Duration::from_secs(second)), text);
        }
    }
}
