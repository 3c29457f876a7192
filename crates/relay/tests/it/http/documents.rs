use std::collections::{BTreeMap, BTreeSet};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use sdk_relay::relay::Relay;
use sdk_relay_config::{Loader, Overrides};
use sdk_relay_http::Front;
use sdk_relay_protocol::CloseCode;
use sdk_relay_protocol::blindbit::*;
use sdk_relay_protocol::http::*;
use sdk_relay_transport::Peer;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower::ServiceExt;

/// A relay with its document.
struct Fixture {
    relay: Relay,
    api: Front,
    document: Value,
    _dir: tempfile::TempDir,
}

impl Fixture {
    async fn new(toml: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let free_ports = "ws_url = \"127.0.0.1:0\"\nhttp_url = \"127.0.0.1:0\"\n";
        std::fs::write(dir.path().join("sdk_relay.toml"), format!("{free_ports}{toml}")).unwrap();
        let loader = Loader::new(Overrides::default().with_data_dir(dir.path()).with_standalone());
        let config = loader.load().unwrap();
        let relay = Relay::start(loader, config, Default::default()).await.unwrap();
        let api = relay.http_api().clone();
        let answer = api.clone().oneshot(request("GET", "/openapi.json")).await.unwrap();
        let bytes = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let document = serde_json::from_slice(&bytes).unwrap();
        Self {
            relay,
            api,
            document,
            _dir: dir,
        }
    }

    fn operations(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        let paths = self.document["paths"].as_object().unwrap();
        paths.iter().flat_map(|(path, item)| {
            let operations = item.as_object().unwrap();
            operations
                .iter()
                .map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
    }
}

/// A request of a program on the same machine.
fn request(method: &str, path: &str) -> Request {
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(Peer(([127, 0, 0, 1], 1).into()));
    request
}

/// The paths of the routes. A router shows them only in its `Debug` output.
fn paths_of(api: &Front) -> BTreeSet<String> {
    let text = format!("{api:?}");
    let paths = text
        .split("RouteId(")
        .filter_map(|part| part.split_once("): \"/")?.1.split('"').next());
    // The fallback is kept as routes of its own: the root, and everything.
    let own = paths.filter(|path| !path.is_empty() && !path.contains("axum_fallback"));
    own.map(|path| format!("/{path}")).collect()
}

/// Methods of a path, from the header `Allow` of the answer to an unknown method.
async fn methods_of(api: &Front, path: &str) -> BTreeSet<String> {
    let path = path.replace(['{', '}'], "");
    let response = api.clone().oneshot(request("TRACE", &path)).await.unwrap();
    assert_eq!(response.status(), 405);
    let allow = response.headers()["allow"].to_str().unwrap().to_ascii_lowercase();
    // HEAD comes with every GET.
    allow.split(',').map(str::to_owned).filter(|m| m != "head").collect()
}

#[tokio::test]
async fn the_document_has_every_route_and_no_other() {
    let fixture = Fixture::new("").await;
    let mut documented: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, method, _) in fixture.operations() {
        documented.entry(path.to_owned()).or_default().insert(method.to_owned());
    }
    assert_eq!(paths_of(&fixture.api), documented.keys().cloned().collect());
    for (path, methods) in documented {
        assert_eq!(methods_of(&fixture.api, &path).await, methods, "{path}");
    }
    fixture.relay.shut_down(CloseCode::GoingAway).await;
}

#[tokio::test]
async fn the_document_requires_the_tokens_that_the_relay_requires() {
    let open = Fixture::new("").await;
    let closed = Fixture::new("auth = { admin_token = \"0123456789abcdef\", read_token = \"fedcba9876543210\" }").await;
    let security = |f: &Fixture, id: &str| {
        let found = f.operations().find(|(_, _, o)| o["operationId"] == id).unwrap();
        (
            found.2["security"].to_string(),
            found.2["responses"].get("401").is_some(),
        )
    };
    let none = |output| (String::from(output), false);
    let requested = |output| (String::from(output), true);
    assert_eq!(security(&open, "getHealth"), none("[]"));
    assert_eq!(security(&open, "getLive"), none("null"));
    assert_eq!(security(&open, "changeConfig"), requested(r#"[{},{"adminToken":[]}]"#));
    assert_eq!(
        security(&closed, "getHealth"),
        requested(r#"[{"readToken":[]},{"adminToken":[]}]"#)
    );
    assert_eq!(security(&closed, "getLive"), none("null"));
    assert_eq!(security(&closed, "changeConfig"), requested(r#"[{"adminToken":[]}]"#));
    for fixture in [open, closed] {
        fixture.relay.shut_down(CloseCode::GoingAway).await;
    }
}

/// Checks the examples of a schema with its type: they can be parsed without loss.
fn check<T: Serialize + DeserializeOwned>(name: &'static str, schemas: &Value) -> &'static str {
    let examples = schemas[name]["examples"]
        .as_array()
        .unwrap_or_else(|| panic!("{name} has no example"));
    for example in examples {
        let read: T = serde_json::from_value(example.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let encoded = serde_json::to_value(&read).unwrap();
        assert_eq!(
            encoded.to_string(),
            example.to_string(),
            "{name}: all fields, in their order"
        );
    }
    name
}

/// Schemas that the operations name: of requests and answers.
fn named(node: &Value, found: &mut BTreeSet<String>) {
    match node {
        Value::Object(fields) => {
            if let Some(to) = fields.get("$ref").and_then(Value::as_str) {
                found.insert(to.rsplit('/').next().unwrap_or(to).to_owned());
            }
            fields.values().for_each(|n| named(n, found));
        }
        Value::Array(items) => items.iter().for_each(|n| named(n, found)),
        _ => {}
    }
}

/// Its schema is generated from the table of settings, and the relay reads it key by key.
type ConfigPatch = serde_json::Map<String, Value>;

#[tokio::test]
async fn every_request_and_every_answer_has_a_valid_example() {
    let fixture = Fixture::new("").await;
    let schemas = &fixture.document["components"]["schemas"];
    macro_rules! checked {
        ($($resource:ident),* $(,)?) => { [$(check::<$resource>(stringify!($resource), schemas)),*] };
    }
    let checked = checked![
        BitcoinInfo,
        BlindbitBlockHash,
        BlindbitBlockHeight,
        BlindbitComputeIndex,
        BlindbitFilter,
        BlindbitFullBlock,
        BlindbitInfo,
        BlindbitOutputs,
        BlindbitSpentIndex,
        BlindbitSpentOutputs,
        BlindbitTweaks,
        BlindbitUtxo,
        BlockDetails,
        ConfigChanged,
        ConfigPatch,
        ConfigView,
        DetachedWatch,
        Fees,
        FirstBlock,
        ForceSyncRequest,
        ForceSyncResponse,
        ForcedSync,
        ForwardTx,
        Health,
        Live,
        Logs,
        Metrics,
        MineRequest,
        MineResponse,
        PayRequest,
        PayResponse,
        Problem,
        Ready,
        RelayDetails,
        RelayList,
        RestartResponse,
        PolledEvents,
        StreamedEvent,
        SyncHistory,
        SyncStatus,
        Timings,
        TxRequest,
        TxDetails,
        TxResponse,
        WatchDeleted,
        EnableRequest,
        ReplayRequest,
        WebhookChanged,
        WebhookList,
        WebhookTest,
    ];
    let mut wanted = BTreeSet::new();
    fixture
        .operations()
        .for_each(|(_, _, operation)| named(operation, &mut wanted));
    assert_eq!(wanted, checked.into_iter().map(str::to_owned).collect());
    fixture.relay.shut_down(CloseCode::GoingAway).await;
}
