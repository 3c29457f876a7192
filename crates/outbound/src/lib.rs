//! Requests to URLs that clients choose (server-side request forgery is what this crate prevents).
//!
//! A client that names a URL makes the relay connect to it, from the relay's place in the network. So a URL is parsed
//! strictly ([`Target`]), its name is resolved once for each attempt, every address of the answer must be public
//! ([`Rules`]), and the connection goes to one of these addresses and nowhere else: there is no second resolution, no
//! redirect is followed, and no connection is kept for a later request. Each step of an attempt has a time limit, the
//! size of an answer is bounded, and budgets ([`Limits`]) bound how many requests one client can cause, one destination
//! can receive, and the relay sends in all (`docs/adr/0021-outbound.md`).

mod answer;
mod budgets;
mod dialer;
mod exchange;
mod failure;
mod kind;
mod limits;
mod metrics;
mod outbound;
mod own;
mod resolver;
mod rules;
mod target;
mod timeouts;
mod tls;

pub use answer::Answer;
pub use budgets::Busy;
pub use dialer::{Dialer, SystemDialer};
pub use failure::{Failure, Step};
pub use kind::Kind;
pub use limits::{Limit, Limits};
pub use metrics::OutboundMetrics;
pub use outbound::{Outbound, Parts, Request};
pub use resolver::{Resolver, SystemResolver};
pub use rules::Rules;
pub use target::{Host, Target, WrongTarget};
pub use timeouts::Timeouts;
pub use tls::{TlsError, system_tls};
