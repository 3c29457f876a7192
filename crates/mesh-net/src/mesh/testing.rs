//! What the tests of the mesh share: a mesh that is open and not driven, its host, and links to it.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sdk_relay_config::{Config, Loader, Overrides};
use sdk_relay_protocol::mesh::RelayStatus;
use sdk_relay_protocol::{Event, SyncPayload, SyncType};
use sdk_relay_store::{Retention, Store};
use tokio::sync::watch;

use super::known::KnownRelay;
use super::proof::Proven;
use super::{Inbound, Mesh, Orders, Timeouts};
use crate::host::Host;
use crate::sync::{History, Syncs};

/// The mesh of a relay named `own`.
pub(super) fn open(dir: &Path) -> (Arc<Mesh>, Orders, Arc<Config>) {
    let file = dir.join("sdk_relay.toml");
    std::fs::write(&file, "standalone = true\n").unwrap();
    let loader = Loader::new(Overrides::default().with_config(file).with_data_dir(dir));
    let config = loader.load().unwrap();
    let retention = Retention {
        events: 1000,
        bytes: 1 << 20,
    };
    let store = Arc::new(Store::open(&dir.join("relay.redb"), "regtest", retention).unwrap());
    let history = Arc::new(History::open(store).unwrap());
    let syncs = Arc::new(Syncs::new("own".to_owned(), history, Arc::default()));
    let timeouts = Timeouts::default();
    let (mesh, orders) = Mesh::open(&config, dir, "ws://192.0.2.1:8090", &[], syncs, timeouts).unwrap();
    (mesh, orders, Arc::new(config))
}

/// A relay whose reports have this payload, and whose log takes nothing.
pub(super) fn host(config: Arc<Config>, payload: fn() -> SyncPayload) -> Arc<dyn Host> {
    Arc::new(TestHost {
        config: watch::Sender::new(config),
        payload,
    })
}

struct TestHost {
    config: watch::Sender<Arc<Config>>,
    payload: fn() -> SyncPayload,
}

impl Host for TestHost {
    fn config(&self) -> watch::Receiver<Arc<Config>> {
        self.config.subscribe()
    }

    fn status(&self) -> RelayStatus {
        RelayStatus::Healthy
    }

    fn payload(&self, _: SyncType) -> SyncPayload {
        (self.payload)()
    }

    fn log(&self, _: Event) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

/// A link that a relay of this name has dialled.
pub(super) fn linked(mesh: &Arc<Mesh>, relay_id: &str, key: char) -> Inbound {
    let peer = Proven {
        relay_id: relay_id.to_owned(),
        public_key: key.to_string().repeat(64),
    };
    let learned = KnownRelay {
        version: "1".to_owned(),
    };
    mesh.joined(&peer, [192, 0, 2, 7].into(), Duration::from_millis(1), learned)
}
