//! A client that knows nothing asks for the description, as grpcurl does.

use futures_util::{StreamExt, stream};
use prost::Message;
use testkit::RelayProcess;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use crate::grpc::client::http2;

const SERVICE: &str = "blindbit.oracle.v1.OracleService";

/// The fields of a `FileDescriptorProto` that this test reads.
#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "6")]
    services: Vec<Service>,
}

#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    methods: Vec<Method>,
}

#[derive(Clone, PartialEq, Message)]
struct Method {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bool, tag = "6")]
    is_stream: bool,
}

async fn ask(relay: &RelayProcess, questions: Vec<MessageRequest>) -> Vec<ServerReflectionResponse> {
    let mut client = ServerReflectionClient::with_origin(http2(), relay.grpc_url().parse().unwrap());
    let requests = questions.into_iter().map(|question| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(question),
    });
    let answers = client.server_reflection_info(stream::iter(requests)).await.unwrap();
    answers.into_inner().map(Result::unwrap).collect().await
}

#[tokio::test]
async fn the_description_names_the_service_and_its_calls() {
    let options = testkit::RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .arg("--standalone")
        .set("BLINDBIT__GRPC_LISTEN", "127.0.0.1:0");
    let relay = RelayProcess::start(options).await;
    let answers = ask(
        &relay,
        vec![
            MessageRequest::ListServices(String::new()),
            MessageRequest::FileContainingSymbol(SERVICE.to_owned()),
        ],
    )
    .await;
    let [services, file] = &answers[..] else {
        panic!("{answers:?}")
    };
    let Some(MessageResponse::ListServicesResponse(list)) = &services.message_response else {
        panic!("{services:?}")
    };
    assert!(list.service.iter().any(|service| service.name == SERVICE), "{list:?}");
    let Some(MessageResponse::FileDescriptorResponse(file)) = &file.message_response else {
        panic!("{file:?}")
    };
    let file = File::decode(file.file_descriptor_proto[0].as_slice()).unwrap();
    assert_eq!(
        (file.name.as_str(), file.package.as_str()),
        ("oracle.proto", "blindbit.oracle.v1")
    );
    let [service] = &file.services[..] else {
        panic!("{file:?}")
    };
    let methods: Vec<_> = service.methods.iter().map(|m| (m.name.as_str(), m.is_stream)).collect();
    assert_eq!(
        methods,
        [
            ("GetInfo", false),
            ("GetBestBlockHeight", false),
            ("GetBlockHashByHeight", false),
            ("StreamBlockScanDataShort", true),
            ("StreamComputeIndex", true),
            ("GetFullBlock", false),
            ("GetSpentOutputsShort", false),
        ]
    );
}
