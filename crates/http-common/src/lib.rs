//! What every edge needs that answers over HTTP, and that knows no route.
//!
//! In come requests and their parts: bodies of bounded size, time and memory ([`Body`], [`Bytes`]), values of query
//! strings ([`query`]). Out go errors as problem documents ([`ApiError`]), large answers within the memory for what
//! clients have not read ([`unread`]), and the parts of the API description ([`gathered`]). [`Edge`] is what an edge
//! adds to the HTTP port.

mod body;
mod description;
mod edge;
mod problem;
pub mod query;
pub mod unread;

pub use body::{Body, Bytes};
pub use description::gathered;
pub use edge::{Edge, Pace};
pub use problem::ApiError;
