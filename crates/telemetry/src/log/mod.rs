//! Recent log of the relay: the newest lines for `/logs`, the errors for `HealthSync`.

mod line;
mod ring;
mod search;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use sdk_relay_platform::clock;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

pub use line::{Line, Value};
pub use search::{Found, LineFilter};

use ring::Ring;

/// A subscriber layer that keeps the newest lines, the number of errors, and the last error. Clones share the state.
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

    /// Searches the newest lines. Takes a few milliseconds at most, without blocking logging.
    pub fn search(&self, filter: &LineFilter) -> Found {
        search::search(&self.inner.ring, filter)
    }
}

impl<S: Subscriber> Layer<S> for LogTap {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = Line::of(event, clock::now());
        if *event.metadata().level() == Level::ERROR {
            self.inner.errors.fetch_add(1, Ordering::Relaxed);
            *self.inner.last_error.write().unwrap_or_else(PoisonError::into_inner) = Some(line.with_its_error());
        }
        self.inner.ring.push(line);
    }
}

#[cfg(test)]
mod tests;
