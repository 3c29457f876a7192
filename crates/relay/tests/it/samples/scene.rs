//! A relay on a real node, as assumed by the samples, and a record of the compared samples.

use std::collections::BTreeSet;

use serde_json::Value;
use testkit::{Bitcoind, Options, Payer, RelayOptions, RelayProcess};

use crate::samples::document::{Document, Sample};
use crate::wire::json::{Json, departures, empty_lists};

pub(crate) struct Scene<'d> {
    document: &'d Document,
    held: BTreeSet<&'d str>,
    pub(crate) node: Bitcoind,
    pub(crate) payer: Payer,
    pub(crate) relay: RelayProcess,
}

impl<'d> Scene<'d> {
    pub(crate) async fn new(document: &'d Document) -> Scene<'d> {
        let node = Options {
            wallet: true,
            ..Options::default()
        };
        // Of its own: it gets a wallet.
        let node = Bitcoind::start(node).await;
        let payer = Payer::funded(&node).await;
        let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
            .node(&node)
            .in_mesh()
            .set("RELAY_ID", "relay-1")
            .set("DEV_MODE", "true")
            .set("BITCOIN_CORE__WALLET", "relay_wallet");
        let relay = RelayProcess::start(options).await;
        Scene {
            document,
            held: BTreeSet::new(),
            node,
            payer,
            relay,
        }
    }

    /// The sample of this name.
    pub(crate) fn sample(&self, name: &str) -> &'d Sample {
        let found = self.document.samples().iter().find(|sample| sample.name == name);
        found.unwrap_or_else(|| panic!("the reference has no sample {name:?}"))
    }

    /// The sample as a request: it counts as compared, because it is sent unchanged.
    pub(crate) fn request(&mut self, name: &str) -> Value {
        let sample = self.sample(name);
        self.held.insert(&sample.name);
        serde_json::from_str(&sample.text).expect("the sample is JSON")
    }

    /// Panics if `actual` differs from the sample. `unknown`: paths that may be `null` now; `empty`: paths of lists
    /// that may be empty now.
    pub(crate) fn hold(&mut self, name: &str, actual: &str, unknown: &[&str], empty: &[&str]) {
        let sample = self.sample(name);
        let (expected, found) = (Json::parse(&sample.text), Json::parse(actual));
        let mut wrong = departures(&expected, &found, unknown);
        wrong.extend(
            empty_lists(&expected, &found)
                .into_iter()
                .filter(|path| !empty.contains(&path.as_str()))
                .map(|path| format!("{path} is empty: nothing was compared")),
        );
        assert!(
            wrong.is_empty(),
            "{name}: {wrong:#?}\nin {actual}\nthe sample: {}",
            sample.text
        );
        self.held.insert(&sample.name);
    }

    /// The samples that were not compared.
    pub(crate) fn unchecked(&self) -> Vec<&'d str> {
        let names = self.document.samples().iter().map(|sample| sample.name.as_str());
        names.filter(|name| !self.held.contains(name)).collect()
    }
}
