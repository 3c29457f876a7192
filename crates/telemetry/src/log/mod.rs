//! The relay's own log, as far as it looks back into it: the newest lines for `/logs`, the errors for `HealthSync`.

mod line;
mod ring;
mod search;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

pub use line::{Line, Value};
pub use search::{Found, Wanted};

use ring::Ring;

/// A layer of the subscriber that remembers: the newest lines, how many errors there were, and the last of them. Clones
/// share it.
#[derive(Clone, Debug, Default)]
pub struct LogTap {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    ring: Ring,
    errors: AtomicU64,
    last_error: RwLock<Option<String>>,
}

impl LogTap {
    /// Errors logged since the start.
    pub fn errors(&self) -> u64 {
        self.inner.errors.load(Ordering::Relaxed)
    }

    /// The message of the last error, with its `error` field.
    pub fn last_error(&self) -> Option<String> {
        self.inner
            .last_error
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Looks through the newest lines. It takes a few milliseconds at most, in which logging goes on.
    pub fn search(&self, wanted: &Wanted) -> Found {
        search::search(&self.inner.ring, wanted)
    }
}

impl<S: Subscriber> Layer<S> for LogTap {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = Line::of(event, SystemTime::now());
        if *event.metadata().level() == Level::ERROR {
            self.inner.errors.fetch_add(1, Ordering::Relaxed);
            *self.inner.last_error.write().unwrap_or_else(PoisonError::into_inner) = Some(line.with_its_error());
        }
        self.inner.ring.push(line);
    }
}

#[cfg(test)]
mod tests;
