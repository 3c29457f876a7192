//! Checks a configuration against this machine, before anything is opened: the same checks and error messages for a
//! start, a restart and `check-config`.

use std::io::Read as _;
use std::net::SocketAddr;

use sdk_relay_chain::rpc::cookie_advice;
use sdk_relay_client::certificates;
use sdk_relay_config::{Config, ConfigError, Credentials, DataDir};
use sdk_relay_detect::own_wallet::{self, WalletError};
use sdk_relay_files::{open_regular, reason};
use sdk_relay_mesh_net::{IdentityError, check_identity};
use sdk_relay_platform::net::{can_bind, listen};
use sdk_relay_transport::open_files::{self, TooFewFiles};
use sdk_relay_transport::{TlsError, tls};

use crate::data_files;

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// A value names a file or an address that does not exist, or that this process may not use.
    #[error(transparent)]
    Value(#[from] ConfigError),
    /// The certificate cannot be served.
    #[error("{origin}{error}")]
    Tls {
        /// The file, the variable or the flag, if the operator has configured it.
        origin: String,
        /// The problem.
        error: TlsError,
    },
    /// The wallet's key cannot be used.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// The relay's key cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Too few files may be opened.
    #[error(transparent)]
    Files(#[from] TooFewFiles),
    /// More than one file or address cannot be used.
    #[error("{} files or addresses cannot be used:{}", .0.len(), lines(.0))]
    Several(Vec<Self>),
}

impl PreflightError {
    /// The error that has all of these; none for none.
    fn all_of(mut errors: Vec<Self>) -> Result<(), Self> {
        match errors.len() {
            0 | 1 => errors.pop().map_or(Ok(()), Err),
            _ => Err(Self::Several(errors)),
        }
    }
}

/// A line for each error. Joined with blanks, the lines are one sentence.
fn lines(errors: &[PreflightError]) -> String {
    let lines: Vec<_> = errors.iter().map(|error| format!("\n  {error}")).collect();
    lines.join(";")
}

/// All checks that need no network, and do not disturb a relay that runs with the same data directory. Reports all
/// unusable files and addresses at once: each correction may cost the restart of a container.
pub fn check(config: &Config) -> Result<(), PreflightError> {
    // Further errors would be consequences of this one.
    open_files::check()?;
    let mut errors: Vec<PreflightError> = Vec::new();
    let directory = DataDir::check(&config.data_dir).map_err(|error| {
        let found = config.data_dir.display();
        config.unusable("data_dir", found, error.to_string())
    });
    let is_usable = directory.is_ok();
    errors.extend(directory.err().map(Into::into));
    errors.extend(certificate(config).err());
    for (key, listen) in listen_addresses(config) {
        errors.extend(address(config, key, listen).err().map(Into::into));
    }
    errors.extend(trust(config).err().map(Into::into));
    if is_usable {
        errors.extend(data_files::check(config).into_iter().map(Into::into));
        let wallet = own_wallet::check(&config.data_dir, &config.wallet);
        errors.extend(wallet.err().map(Into::into));
        errors.extend(check_identity(config).err().map(Into::into));
    }
    PreflightError::all_of(errors)
}

/// The settings of the listen addresses, and the addresses.
pub fn listen_addresses(config: &Config) -> Vec<(&'static str, SocketAddr)> {
    let grpc = config.blindbit_grpc.map(|address| ("blindbit.grpc_listen", address));
    [("ws_url", config.ws_url), ("http_url", config.http_url)]
        .into_iter()
        .chain(grpc)
        .chain(config.electrum.addresses())
        .collect()
}

/// The certificate and its key.
pub fn certificate(config: &Config) -> Result<(), PreflightError> {
    tls::check(config).map(drop).map_err(|error| PreflightError::Tls {
        origin: error
            .key()
            .map_or_else(String::new, |key| format!("{}: ", config.origin(key))),
        error,
    })
}

/// Checks that the process may bind the address; a port in use may be its own.
pub fn address(config: &Config, key: &str, address: SocketAddr) -> Result<(), ConfigError> {
    can_bind(address).map_err(|error| cannot_listen(config, key, address, &error))
}

/// Checks that a running relay may listen on another address after a restart. `is_own_port`: it listens on this port
/// now, of the same address or of another one.
pub fn new_address(config: &Config, key: &str, address: SocketAddr, is_own_port: bool) -> Result<(), ConfigError> {
    if address.port() == 0 {
        return Err(config.unusable(key, address, "expected a port from 1 to 65535".to_owned()));
    }
    let checked = if is_own_port {
        can_bind(address)
    } else {
        listen(address, 1).map(drop)
    };
    checked.map_err(|error| cannot_listen(config, key, address, &error))
}

/// The error for an address that cannot be bound.
pub fn cannot_listen(config: &Config, key: &str, address: SocketAddr, error: &std::io::Error) -> ConfigError {
    let reason = format!(
        "cannot listen there: {error}; expected an address of this machine, and a port that is free and open to this user"
    );
    config.unusable(key, address, reason)
}

/// The cookie that the node has written. A start does not need it: the node may start later.
pub fn cookie(config: &Config) -> Result<(), ConfigError> {
    let Credentials::CookieFile(path) = &config.bitcoin_core.credentials else {
        return Ok(());
    };
    if config.standalone {
        return Ok(());
    }
    let read = open_regular(path).and_then(|mut file| file.read(&mut [0]));
    read.map(drop).map_err(|error| {
        let reason = format!("cannot be read: {}: {}", reason(&error), cookie_advice(error.kind()));
        config.unusable("bitcoin_core.cookie_file", path.display(), reason)
    })
}

/// The certificates trusted for other relays.
fn trust(config: &Config) -> Result<(), ConfigError> {
    let Some(path) = &config.mesh.trust else { return Ok(()) };
    certificates(path).map(drop).map_err(|error| {
        let reason = format!(
            "{}; expected a PEM file of certificates that this user may read",
            error.reason()
        );
        config.unusable("mesh.trust", path.display(), reason)
    })
}
