//! Common parts of edges over HTTP, independent of routes.
//!
//! Requests: bodies of bounded size, time and memory ([`Body`], [`Bytes`]), values of query strings ([`query`]).
//! Answers: JSON that ends with a line break ([`Json`]), errors as problem documents ([`ApiError`]), large answers
//! within the budget of unread answers ([`unread`]), the tags of conditional requests ([`has_tag`]), and the parts of
//! the API description ([`gathered`]). [`Edge`] is the part that an edge adds to the HTTP port.

mod body;
mod conditional;
mod description;
mod edge;
mod json;
mod problem;
pub mod query;
pub mod unread;

pub use body::{Body, Bytes};
pub use conditional::has_tag;
pub use description::gathered;
pub use edge::{Access, Edge, RateLimiter};
pub use json::{Json, json_text};
pub use problem::ApiError;
