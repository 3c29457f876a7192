//! The configuration: one TOML file, overridden by environment variables, overridden by flags.
//!
//! A [`Loader`] reads the layers into [`File`], the shape of the file; [`Config`] is what it means, checked. Every key has an effect.

mod changes;
mod check;
mod environment;
mod file;
mod layers;
mod network;
mod template;

pub use changes::{CHANGES_FILE, Changes};
pub use check::{AllowPrivate, Auth, BitcoinCore, Config, Credentials, IndexConfig, MeshConfig, TlsFiles, WalletKeys};
pub use environment::UnknownVariable;
pub use file::File;
pub use layers::{ConfigError, FILE_NAME, Loader, Overrides, default_data_dir};
pub use network::Network;
pub use template::template;
