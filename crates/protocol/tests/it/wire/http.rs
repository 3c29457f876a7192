//! Bodies of the HTTP API, each made from the example that its schema shows.

use std::collections::BTreeSet;

use sdk_relay_protocol::blindbit::*;
use sdk_relay_protocol::http::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::PartialSchema;

use super::{Sample, schema};

/// The body of the schema's example: it must be valid, and have every field that the type writes.
fn sample<T: PartialSchema + Serialize + DeserializeOwned>(name: &str) -> Sample {
    let mut schema = schema::<T>();
    let example = schema["examples"][0].take();
    let body: T = serde_json::from_value(example.clone()).unwrap_or_else(|e| panic!("{name}: {e} in {example}"));
    Sample::new("http", name, &body)
}

macro_rules! samples {
    ($($body:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($body)),*];

        pub(super) fn samples() -> Vec<Sample> {
            vec![$(sample::<$body>(stringify!($body))),*]
        }
    };
}

samples! {
    BitcoinInfo BlockDetails Fees FirstBlock ConfigView ConfigChanged RestartResponse MineRequest MineResponse
    PayRequest PayResponse PolledEvents StreamedEvent Health Live Ready Logs Metrics Problem RelayList RelayDetails SyncStatus ForceSyncRequest
    ForceSyncResponse ForcedSync SyncHistory Timings TxDetails TxRequest TxResponse BlindbitInfo BlindbitBlockHeight BlindbitBlockHash
    BlindbitUtxo BlindbitSpentIndex BlindbitFilter ForwardTx BlindbitTweaks BlindbitOutputs BlindbitSpentOutputs
    BlindbitComputeIndex BlindbitFullBlock DetachedWatch WatchDeleted WebhookList WebhookTest ReplayRequest EnableRequest WebhookChanged
}

#[test]
fn every_body() {
    for sample in samples() {
        sample.assert();
    }
}

/// Every type of the source that shows an example is a body, and has its snapshot.
#[test]
fn no_body_is_without_a_snapshot() {
    let mut with_example = BTreeSet::new();
    for folder in ["src/http", "src/blindbit"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for file in std::fs::read_dir(folder).unwrap() {
            let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for after in source.split("#[schema(examples(").skip(1) {
                let name = after.split("pub struct ").nth(1).unwrap();
                with_example.insert(name.split(' ').next().unwrap().to_owned());
            }
        }
    }
    let listed = NAMES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(with_example, listed);
}
