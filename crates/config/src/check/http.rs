//! `[http]`: host names of the relay.

use hyper::Uri;

use crate::error::ConfigError;
use crate::host_name::normal_name;
use crate::peer_address::url_of;
use crate::settings as key;
use crate::values::Values;

/// Names of this relay, including the host of `mesh.advertise`, which other relays use.
pub(super) fn hosts(values: &Values) -> Result<Vec<String>, ConfigError> {
    let mut hosts = values.get(&key::HOSTS)?;
    let advertised = values.get(&key::ADVERTISE)?;
    let advertised = advertised
        .and_then(|a| url_of(&a))
        .and_then(|url| url.parse::<Uri>().ok());
    hosts.extend(advertised.as_ref().and_then(Uri::host).map(normal_name));
    Ok(hosts)
}
