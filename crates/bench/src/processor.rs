//! CPU time of a thread, independent of other load.

use std::time::Duration;

/// CPU time of the calling thread, since an arbitrary start.
#[cfg(target_os = "linux")]
pub(crate) fn time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Wall-clock time, where the system has no such clock.
#[cfg(not(target_os = "linux"))]
pub(crate) fn time() -> Duration {
    use std::sync::LazyLock;
    use std::time::Instant;

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}
