//! Waiting for a condition.

use std::panic::Location;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// Pause between two looks at a condition: short beside any deadline, long beside the cost of a look.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Asks `condition` until it gives a value. Panics, naming `what` and the caller's line, when it has given none after
/// `deadline`.
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
                sleep(LOOK_AGAIN).await;
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
