//! Which certificates of a relay are trusted, and what to do about those that are not.

use std::path::PathBuf;

use anyhow::anyhow;
use sdk_relay_client::{ConnectError, Trust};
use sdk_relay_config::Config;
use sdk_relay_transport::tls;

/// The certificates to trust: those of `--ca`; for the relay of this machine's configuration, its own certificate,
/// under whatever address it is reached; else those that the system trusts.
pub fn trust(ca: Option<PathBuf>, own: Option<&Config>) -> Trust {
    match (ca, own.and_then(tls::own_certificate)) {
        (Some(file), _) => Trust::File(file),
        (None, Some(file)) => Trust::Exactly(file),
        (None, None) => Trust::System,
    }
}

/// Why the trusted certificates cannot be used, with the option or the setting that names them.
pub fn unusable(trust: &Trust, error: &ConnectError) -> anyhow::Error {
    match trust {
        Trust::System => anyhow!("{error}"),
        Trust::File(_) => anyhow!("--ca: {error}"),
        Trust::Exactly(_) => anyhow!("the certificate of the relay of this configuration: {error}"),
    }
}

/// What to do about a certificate that is refused, to be put behind the reason. Empty if the reason says it, because
/// trust does not help.
pub fn advice(trust: &Trust, can_be_trusted: bool) -> String {
    match trust {
        _ if !can_be_trusted => String::new(),
        Trust::Exactly(file) => format!(
            " ({}): if the file is new, send SIGHUP to the relay; if another configuration is that of the relay, name it with --config",
            file.display()
        ),
        Trust::File(_) => ": name it, or that of its authority, with --ca".to_owned(),
        Trust::System => ": name the certificate, or that of its authority, with --ca".to_owned(),
    }
}
