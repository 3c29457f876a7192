//! The time that a thread has had on a processor: what else the machine does takes none of it.

use std::time::Duration;

/// Of the calling thread, since some moment before.
#[cfg(target_os = "linux")]
pub(crate) fn time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Where there is no such clock, that on the wall.
#[cfg(not(target_os = "linux"))]
pub(crate) fn time() -> Duration {
    use std::sync::LazyLock;
    use std::time::Instant;

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}
