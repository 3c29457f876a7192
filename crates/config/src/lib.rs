//! The configuration: one TOML file, overridden by environment variables, overridden by flags.
//!
//! A [`Loader`] reads the layers into [`File`], the shape of the file; [`Config`] is what it means, checked. Every key has an effect.

mod blindbit_url;
mod changes;
mod check;
mod data_dir;
mod environment;
mod error;
mod file;
mod host_name;
mod ip_network;
mod layers;
mod network;
mod origins;
mod peer_address;
pub mod private_file;
mod regular_file;
mod secret;
mod template;
mod trusted_proxies;
mod whole_number;

pub use blindbit_url::{WrongUrl, check_url};
pub use changes::{CHANGES_FILE, Changes};
pub use check::{
    AllowPrivate, Auth, BitcoinCore, Config, Credentials, IndexConfig, MeshConfig, RetentionConfig, TlsFiles,
    WalletKeys,
};
pub use data_dir::{DataDir, DataDirError, default_data_dir};
pub use environment::UnknownVariable;
pub use error::ConfigError;
pub use file::File;
pub use host_name::normal_name;
pub use ip_network::{IpNetwork, WrongIpNetwork};
pub use layers::{FILE_NAME, Loader, Overrides};
pub use network::Network;
pub use peer_address::{PeerAddress, host_and_port, url_of, without_scheme};
pub use regular_file::{is_absent, open_regular};
pub use secret::Secret;
pub use template::template;
pub use trusted_proxies::{ForwardingHeader, TrustedProxies};
pub use whole_number::whole;
