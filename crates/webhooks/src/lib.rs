//! Webhooks: the relay posts events of its log to the endpoints of its operator, in the form of [Standard
//! Webhooks](https://www.standardwebhooks.com).
//!
//! Each endpoint has a position in the log ([`positions`]) that is durable, and a task that posts one event after the
//! other ([`endpoint`]). So nothing is lost by a kill, the order is that of the log, and a slow endpoint delays only
//! itself. An event that is posted again, after a failure or a kill, has the same `webhook-id`.

mod backoff;
mod done;
mod endpoint;
mod error;
mod gap;
mod message;
mod metrics;
mod positions;
mod post;
mod problems;
mod routes;
mod shown;
mod signature;
mod source;
mod status;
mod timeouts;
mod webhooks;

pub use error::StartError;
pub use metrics::WebhookMetrics;
pub use positions::OpenError;
pub use signature::WrongSecret;
pub use source::{EventSource, LogSource};
pub use timeouts::Timeouts;
pub use webhooks::{Webhooks, Work};
