//! Counts what the log calls an error, for `HealthSync`.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Errors logged since the start, and the last of them. A layer of the subscriber; clones share the tally.
#[derive(Clone, Debug, Default)]
pub struct ErrorTally {
    count: Arc<AtomicU64>,
    last: Arc<RwLock<Option<String>>>,
}

impl ErrorTally {
    /// How many.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The message of the last one, with its `error` field.
    pub fn last(&self) -> Option<String> {
        self.last.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<S: Subscriber> Layer<S> for ErrorTally {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() != Level::ERROR {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let told = if text.error.is_empty() {
            text.message
        } else {
            format!("{}: {}", text.message, text.error)
        };
        self.count.fetch_add(1, Ordering::Relaxed);
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = Some(told);
    }
}

#[derive(Default)]
struct Text {
    message: String,
    error: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "error" => self.error = format!("{value:?}"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::prelude::*;

    use super::*;

    #[test]
    fn counts_errors_alone() {
        let tally = ErrorTally::default();
        let subscriber = tracing_subscriber::registry().with(tally.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("fine");
            tracing::error!(error = %"disk full", "cannot write");
        });
        assert_eq!(tally.count(), 1);
        assert_eq!(tally.last().as_deref(), Some("cannot write: disk full"));
    }
}
