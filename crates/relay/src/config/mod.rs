//! The configuration: one TOML file, overridden by environment variables, overridden by flags.
//!
//! [`load`] reads the layers into [`File`], the shape of the file; [`Config`] is what it means, checked. Every key has an effect.

mod check;
mod file;
mod layers;
mod network;
mod template;

pub use check::{BitcoinCore, Config, Credentials, WalletKeys};
pub use file::File;
pub use layers::{ConfigError, FILE_NAME, Overrides, default_data_dir, load};
pub use network::Network;
pub use template::template;
