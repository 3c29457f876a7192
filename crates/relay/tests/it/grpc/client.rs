//! A gRPC client over plain text.

use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use sdk_relay_blindbit_proto::RangedBlockHeightRequestFiltered;
use sdk_relay_blindbit_proto::oracle_service_client::OracleServiceClient;
use testkit::RelayProcess;
use tonic::body::Body;

/// The transport of a client.
pub(crate) type Http2 = Client<HttpConnector, Body>;
pub(crate) type GrpcClient = OracleServiceClient<Http2>;

pub(crate) fn http2() -> Http2 {
    Client::builder(TokioExecutor::new()).http2_only(true).build_http()
}

pub(crate) fn client(relay: &RelayProcess) -> GrpcClient {
    client_at(&relay.grpc_url())
}

pub(crate) fn client_at(url: &str) -> GrpcClient {
    OracleServiceClient::with_origin(http2(), url.parse().unwrap())
}

pub(crate) fn range(start: u32, end: u32) -> RangedBlockHeightRequestFiltered {
    RangedBlockHeightRequestFiltered {
        start: start.into(),
        end: end.into(),
        dustlimit: 0,
        cut_through: false,
    }
}
