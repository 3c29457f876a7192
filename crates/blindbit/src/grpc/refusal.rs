//! Refusals of the HTTP routes, as statuses of gRPC.

use hyper::StatusCode;
use tonic::{Code, Status};

use crate::answer::Refusal;

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let (status, detail) = refusal.into_parts();
        Self::new(code(status), detail)
    }
}

fn code(status: StatusCode) -> Code {
    match status {
        StatusCode::BAD_REQUEST => Code::InvalidArgument,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        _ => Code::Internal,
    }
}

/// The height of a request: a `uint64` there, and 32 bits in a block.
pub(super) fn height(name: &str, height: u64) -> Result<u32, Status> {
    u32::try_from(height).map_err(|_| {
        let most = u32::MAX;
        Status::out_of_range(format!("{name} is {height}, and no height is above {most}"))
    })
}
