//! The configuration: one TOML file, overridden by environment variables, overridden by flags.
//!
//! Each setting is defined once, in the table of `settings`. A [`Loader`] merges the layers; [`Config`] is the
//! validated result. Every key has an effect.

pub mod address;
mod blindbit_url;
mod changes;
mod check;
mod config;
mod credentials;
mod data_dir;
mod environment;
mod error;
mod host_name;
mod ip_network;
mod layers;
mod local_node;
mod names;
mod network;
mod origins;
mod overrides;
mod parse;
mod patch;
mod peer_address;
mod read;
mod reference;
mod secret;
mod setting;
mod settings;
mod toml_layer;
mod trusted_proxies;
mod value;
mod values;
mod whole_number;

pub use blindbit_url::{WrongUrl, check_url};
pub use changes::{CHANGES_FILE, Changes};
pub use config::{
    AllowPrivate, Auth, BitcoinCore, Config, Credentials, DetachedConfig, ElectrumBackend, ElectrumConfig, IndexConfig,
    MeshConfig, RetentionConfig, TlsFiles, WalletConfig, WalletKeys, WebhookConfig, WebhookUrl,
};
pub use data_dir::{DataDir, DataDirError, LOCK_FILE, default_data_dir};
pub use environment::UnknownVariable;
pub use error::ConfigError;
pub use host_name::normal_name;
pub use ip_network::{IpNetwork, WrongIpNetwork};
pub use layers::{FILE_NAME, Loader};
pub use local_node::LocalNode;
pub use names::setting;
pub use network::Network;
pub use overrides::Overrides;
pub use patch::WrongKey;
pub use peer_address::{PeerAddress, host_and_port, url_of, without_scheme};
pub use reference::{reference, template};
pub use secret::Secret;
pub use setting::{Change, Effect, Kind, Setting};
pub use settings::{GROUPS, TABLE, WEBHOOK_TABLE};
pub use trusted_proxies::{ForwardingHeader, TrustedProxies};
pub use whole_number::whole;
