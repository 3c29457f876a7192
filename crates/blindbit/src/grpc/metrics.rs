//! Counters of calls.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tonic::Code;

use super::paths::{CALLS, ORACLE, REFLECTION};

type Labels = [(&'static str, &'static str); 2];

const REFLECTED: &str = "ServerReflectionInfo";
const OTHER: &str = "other";

/// Calls, and what streams have sent. Clones share the counters.
#[derive(Clone, Debug)]
pub struct GrpcMetrics {
    calls: Family<Labels, Counter>,
    /// Blocks that streams have sent.
    pub(super) streamed_blocks: Counter,
}

impl Default for GrpcMetrics {
    fn default() -> Self {
        let calls = Family::<Labels, Counter>::default();
        // Those that a relay normally has, so that a rate is 0 and not absent before the first one.
        for method in CALLS {
            drop(calls.get_or_create(&labels(method, Code::Ok)));
        }
        Self {
            calls,
            streamed_blocks: Counter::default(),
        }
    }
}

impl GrpcMetrics {
    /// Registers all of them below `sdk_relay_grpc_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("sdk_relay_grpc");
        registry.register(
            "calls",
            "Calls to BlindBit's gRPC interface, by call and status at its end; CANCELLED: the client left before",
            self.calls.clone(),
        );
        registry.register(
            "streamed_blocks",
            "Blocks that streams of BlindBit's gRPC interface have sent",
            self.streamed_blocks.clone(),
        );
    }

    /// Calls that have ended with this status.
    #[cfg(test)]
    pub(super) fn count(&self, method: &'static str, code: Code) -> u64 {
        self.calls.get_or_create(&labels(method, code)).get()
    }

    /// Begins a call at this path.
    pub(super) fn begin(&self, path: &str) -> Counted {
        Counted {
            metrics: self.clone(),
            method: method(path),
            code: Code::Cancelled,
        }
    }
}

/// A call in progress, which is counted when it is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    metrics: GrpcMetrics,
    method: &'static str,
    code: Code,
}

impl Counted {
    /// The call has ended with this status.
    pub(super) fn ended(&mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.metrics.calls.get_or_create(&labels(self.method, self.code)).inc();
    }
}

/// The name of the call, one of few: clients choose the path.
fn method(path: &str) -> &'static str {
    if let Some(name) = path.strip_prefix(ORACLE) {
        return CALLS.into_iter().find(|call| *call == name).unwrap_or(OTHER);
    }
    if REFLECTION
        .iter()
        .any(|prefix| path.strip_prefix(prefix) == Some(REFLECTED))
    {
        return REFLECTED;
    }
    OTHER
}

fn labels(method: &'static str, code: Code) -> Labels {
    [("method", method), ("code", name(code))]
}

/// The name of a status code in the specification of gRPC.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_a_client_is_one_of_few_labels() {
        for call in CALLS {
            assert_eq!(method(&format!("{ORACLE}{call}")), call);
        }
        for prefix in REFLECTION {
            assert_eq!(method(&format!("{prefix}{REFLECTED}")), REFLECTED);
        }
        for path in [
            "/",
            "",
            "/GetInfo",
            "/blindbit.oracle.v1.OracleService/GetInfo/x",
            "/x/ServerReflectionInfo",
        ] {
            assert_eq!(method(path), OTHER, "{path}");
        }
    }

    #[test]
    fn a_call_that_does_not_end_is_cancelled() {
        let metrics = GrpcMetrics::default();
        let mut ended = metrics.begin("/blindbit.oracle.v1.OracleService/GetInfo");
        ended.ended(Code::Ok);
        drop(ended);
        drop(metrics.begin("/blindbit.oracle.v1.OracleService/GetInfo"));
        assert_eq!(metrics.count("GetInfo", Code::Ok), 1);
        assert_eq!(metrics.count("GetInfo", Code::Cancelled), 1);
    }
}
