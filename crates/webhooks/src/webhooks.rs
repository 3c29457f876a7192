//! All webhooks of a relay.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use sdk_relay_config::{Config, WalletConfig, WebhookConfig};
use sdk_relay_service::Problems;
use tokio::sync::{Notify, Semaphore};

use crate::backoff::Retry;
use crate::endpoint::Endpoint;
use crate::error::StartError;
use crate::metrics::WebhookMetrics;
use crate::positions::Positions;
use crate::post::HttpPost;
use crate::problems::problem;
use crate::signature::Keys;
use crate::source::EventSource;
use crate::timeouts::Timeouts;

/// A task, with its name.
pub type Work = (&'static str, Pin<Box<dyn Future<Output = ()> + Send>>);

/// The webhooks of one relay. Clones are handles to the same ones.
#[derive(Clone)]
pub struct Webhooks(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) endpoints: BTreeMap<String, Arc<Endpoint>>,
    /// `None` without endpoints: a relay without webhooks has no file for them.
    pub(crate) positions: Option<Arc<Positions>>,
    pub(crate) source: Arc<dyn EventSource>,
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.endpoints.keys()).finish()
    }
}

impl Webhooks {
    /// The webhooks of the configuration, with their positions in the file of the data directory. When this returns,
    /// the positions of new ones are durable. Reads and writes files.
    pub fn open(
        config: &Config,
        data_dir: &Path,
        source: Arc<dyn EventSource>,
        metrics: &WebhookMetrics,
        timeouts: Timeouts,
    ) -> Result<Self, StartError> {
        let webhooks = &config.webhooks;
        if webhooks.is_empty() {
            return Ok(Self(Arc::new(Shared {
                endpoints: BTreeMap::new(),
                positions: None,
                source,
            })));
        }
        let keys: Vec<_> = webhooks.iter().map(keys_of).collect::<Result<_, _>>()?;
        let names: Vec<_> = webhooks.iter().map(|webhook| webhook.name.as_str()).collect();
        let positions = Arc::new(Positions::open(data_dir, &names, &*source)?);
        let endpoint = |(webhook, keys): (&WebhookConfig, Keys)| -> Result<_, StartError> {
            let keys = Arc::new(keys);
            let endpoint = Endpoint {
                post: Box::new(HttpPost::new(webhook, Arc::clone(&keys), &timeouts)?),
                keys,
                config: webhook.clone(),
                positions: Arc::clone(&positions),
                source: Arc::clone(&source),
                metrics: metrics.of(&webhook.name),
                retry: Retry::new(webhook, &timeouts),
                woken: Notify::new(),
                testing: Semaphore::new(1),
                status: Mutex::default(),
            };
            Ok((webhook.name.clone(), Arc::new(endpoint)))
        };
        for webhook in webhooks.iter().filter(|webhook| is_idle(webhook, config)) {
            tracing::warn!(
                webhook = webhook.name,
                "the webhook gets payments only, and the relay has no wallet: add other events, or set wallet.mode"
            );
        }
        let endpoints = webhooks.iter().zip(keys).map(endpoint).collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(Shared {
            endpoints,
            positions: Some(positions),
            source,
        })))
    }

    /// The tasks, which run until they are dropped.
    pub fn work(&self) -> Vec<Work> {
        let mut work: Vec<Work> = Vec::new();
        for endpoint in self.0.endpoints.values() {
            work.push(("webhook", Box::pin(Arc::clone(endpoint).run())));
        }
        if let Some(positions) = self.0.positions.clone() {
            work.push((
                "positions of webhooks",
                Box::pin(async move { positions.save_changes().await }),
            ));
        }
        work
    }

    /// Writes the positions that are not written yet. Blocks. Call it when the tasks have ended: the start after an
    /// orderly stop then posts nothing again.
    pub fn save(&self) -> io::Result<()> {
        self.0.positions.as_ref().map_or(Ok(()), |positions| positions.save())
    }

    /// The id of the newest event.
    pub(crate) fn newest(&self) -> u64 {
        *self.0.source.head().borrow()
    }
}

impl Problems for Webhooks {
    fn problems(&self) -> Vec<String> {
        let of_file = self.0.positions.as_ref().and_then(|positions| positions.problem());
        let of_endpoints = self.0.endpoints.values().filter_map(|endpoint| problem(endpoint));
        of_file.into_iter().chain(of_endpoints).collect()
    }
}

/// Whether it never gets an event.
fn is_idle(webhook: &WebhookConfig, config: &Config) -> bool {
    matches!(config.wallet, WalletConfig::Off) && webhook.events.iter().all(|kind| kind.starts_with("payment."))
}

fn keys_of(webhook: &WebhookConfig) -> Result<Keys, StartError> {
    Keys::new(&webhook.secrets).map_err(|reason| StartError::Secret {
        name: webhook.name.clone(),
        reason,
    })
}
