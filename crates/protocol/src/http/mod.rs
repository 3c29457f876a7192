//! Resources of the HTTP API.

mod bitcoin;
mod config;
mod dev;
mod events;
mod fees;
mod health;
mod logs;
mod metrics;
mod problem;
mod relays;
mod sync;
mod timings;
mod tx;
mod watches;
mod webhooks;

pub use bitcoin::{BitcoinInfo, BlockDetails, BlockchainInfo, FirstBlock, MempoolInfo, Network, NetworkInfo};
pub use config::{
    BitcoinCoreConfig, BlindbitConfig, ConfigChanged, ConfigView, LogConfig, RestartResponse, SyncConfig,
};
pub use dev::{MineRequest, MineResponse, PayRequest, PayResponse};
pub use events::{PolledEvents, StreamedEvent};
pub use fees::{FeeEstimate, Fees};
pub use health::{Checks, Health, IndexHealth, Live, Ready, Services};
pub use logs::{LogFilters, LogLevel, LogLevels, LogLine, LogValue, Logs};
pub use metrics::{BitcoinMetrics, Metrics, RelayMetrics, SyncMetrics, SystemMetrics};
pub use problem::{FieldError, Problem};
pub use relays::{
    Link, RelayConfiguration, RelayDetails, RelayHealth, RelayList, RelayMetricsDetails, RelayParts, RelaySummary,
    RelaySyncs,
};
pub use sync::{
    ActiveSync, ForceSyncRequest, ForceSyncResponse, ForcedResult, ForcedState, ForcedSync, SyncDirection, SyncFailure,
    SyncHistory, SyncHistoryFilters, SyncOutcome, SyncRecord, SyncStatistics, SyncStatus,
};
pub use timings::{EventTimings, Timings, TimingsHistogram};
pub use tx::{TxDetails, TxRequest, TxResponse, TxStatus};
pub use watches::{DetachedWatch, LostMatches, WatchDeleted};
pub use webhooks::{
    EnableRequest, ReplayRequest, WEBHOOK_TYPES, Webhook, WebhookChanged, WebhookDisabled, WebhookFailure, WebhookList,
    WebhookReplay, WebhookState, WebhookTest,
};
