//! Waiting for a condition.

use std::panic::Location;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// Poll interval of a condition: short compared with any deadline, long compared with the cost of a check.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Polls `condition` until it returns a value. Panics after `deadline`, with `what` and the line of the caller.
#[track_caller]
pub fn eventually<T>(
    deadline: Duration,
    what: impl std::fmt::Display,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        let until = Instant::now() + deadline;
        let looking = async {
            loop {
                if let Some(value) = condition().await {
                    return value;
                }
                sleep(POLL_INTERVAL).await;
            }
        };
        match timeout_at(until, looking).await {
            Ok(value) => value,
            Err(_) => panic!("{caller}: not within {deadline:?}: {what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn gives_what_the_condition_gives() {
        let mut looks = 0;
        let looked = eventually(Duration::from_secs(5), "three looks", async || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(looked.await, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "not within 30ms: a wonder")]
    async fn panics_with_what_was_awaited() {
        eventually(Duration::from_millis(30), "a wonder", async || None::<()>).await;
    }

    #[tokio::test]
    #[should_panic(expected = "a hanging look")]
    async fn a_look_that_hangs_does_not_outlast_the_deadline() {
        eventually(Duration::from_millis(30), "a hanging look", async || {
            std::future::pending::<Option<()>>().await
        })
        .await;
    }
}
