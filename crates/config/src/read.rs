//! Parses single values: one function for each type. Rules between settings are in `check`.

mod electrum;
mod http;
mod keys;
mod log;
mod node;
mod proxy;
mod webhook;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use sdk_relay_bip352::{Engine, Fast};
use sdk_relay_protocol::are_depths;

pub(crate) use electrum::electrum_backend;
pub(crate) use http::{hosts, origins, proxies};
pub(crate) use keys::{scan_key, spend_key};
pub(crate) use log::{level, unknown_targets};
pub(crate) use node::{node_url, node_wallet, oracle_url, zmq_url};
pub(crate) use proxy::proxy;
pub(crate) use webhook::{webhook_disable_after, webhook_events, webhook_secrets, webhook_url};

use crate::config::{AllowPrivate, WalletMode};
use crate::data_dir::home;
use crate::network::Network;
use crate::peer_address::{PeerAddress, url_of};
use crate::secret::Secret;
use crate::trusted_proxies::ForwardingHeader;
use crate::value::{Value, Wrong};

/// Shortest token: shorter ones could be guessed.
const MIN_TOKEN: usize = 16;
/// Longest name of a relay.
const MAX_RELAY_ID: usize = 64;
/// Largest number of configured relays: the relay discovers further ones through them.
const MAX_PEERS: usize = 64;

/// A number as it is.
pub(crate) fn number(value: &Value) -> Result<u64, Wrong> {
    Ok(value.as_whole())
}

/// A number of objects in memory.
pub(crate) fn count(value: &Value) -> Result<usize, Wrong> {
    usize::try_from(value.as_whole()).map_err(|_| Wrong::because("it is too large for this machine"))
}

pub(crate) fn seconds(value: &Value) -> Result<Duration, Wrong> {
    Ok(Duration::from_secs(value.as_whole()))
}

/// Megabytes, in bytes.
pub(crate) fn megabytes(value: &Value) -> Result<u64, Wrong> {
    Ok(value.as_whole().saturating_mul(1_000_000))
}

/// Megabytes of memory, in bytes.
pub(crate) fn memory(value: &Value) -> Result<usize, Wrong> {
    usize::try_from(megabytes(value)?).map_err(|_| Wrong::because("it is too large for this machine"))
}

pub(crate) fn per_second(value: &Value) -> Result<NonZeroU32, Wrong> {
    let rate = u32::try_from(value.as_whole()).ok();
    rate.and_then(NonZeroU32::new).ok_or(Wrong::unexpected())
}

/// Depths of `confirm_at`.
pub(crate) fn depths(value: &Value) -> Result<Vec<u32>, Wrong> {
    let depths = value.as_list().iter().map(|text| text.parse().ok());
    let depths: Option<Vec<u32>> = depths.collect();
    depths.filter(|depths| are_depths(depths)).ok_or(Wrong::unexpected())
}

pub(crate) fn height(value: &Value) -> Result<u32, Wrong> {
    u32::try_from(value.as_whole()).map_err(|_| Wrong::unexpected())
}

/// `None` for an empty text.
pub(crate) fn optional(value: &Value) -> Result<Option<String>, Wrong> {
    let text = value.as_text();
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

pub(crate) fn path(value: &Value) -> Result<Option<PathBuf>, Wrong> {
    Ok(optional(value)?.map(|text| match text.strip_prefix('~') {
        // As a shell does it, which sees neither the file nor quoted arguments.
        Some("") => home(),
        Some(rest) if rest.starts_with('/') => home().join(&rest[1..]),
        _ => PathBuf::from(text),
    }))
}

pub(crate) fn password(value: &Value) -> Result<Option<Secret>, Wrong> {
    Ok(Secret::some(value.as_text()))
}

pub(crate) fn address(value: &Value) -> Result<SocketAddr, Wrong> {
    value.as_text().parse().map_err(|_| Wrong::unexpected())
}

/// `None` for an empty text.
pub(crate) fn optional_address(value: &Value) -> Result<Option<SocketAddr>, Wrong> {
    match value.as_text() {
        "" => Ok(None),
        _ => address(value).map(Some),
    }
}

/// A token that clients or relays present.
pub(crate) fn token(value: &Value) -> Result<Option<Secret>, Wrong> {
    let text = value.as_text();
    let fits = text.is_empty() || (text.len() >= MIN_TOKEN && text.bytes().all(|b| b.is_ascii_graphic()));
    fits.then(|| Secret::some(text)).ok_or(Wrong::unexpected())
}

pub(crate) fn relay_id(value: &Value) -> Result<Option<String>, Wrong> {
    let text = value.as_text();
    let fits = text.len() <= MAX_RELAY_ID && text.bytes().all(|b| b.is_ascii_graphic());
    if fits {
        optional(value)
    } else {
        Err(Wrong::unexpected())
    }
}

pub(crate) fn network(value: &Value) -> Result<Network, Wrong> {
    Network::from_name(value.as_text()).ok_or(Wrong::unexpected())
}

pub(crate) fn wallet_mode(value: &Value) -> Result<WalletMode, Wrong> {
    match value.as_text() {
        "auto" => Ok(WalletMode::Auto),
        "off" => Ok(WalletMode::Off),
        "watch-only" => Ok(WalletMode::WatchOnly),
        "hot" => Ok(WalletMode::Hot),
        _ => Err(Wrong::unexpected()),
    }
}

/// The engine of that name, if this machine supports its instructions.
pub(crate) fn scanner(value: &Value) -> Result<Fast, Wrong> {
    if value.as_text() == "auto" {
        return Ok(Fast::new());
    }
    Fast::named(value.as_text()).ok_or_else(|| {
        let here: Vec<_> = Fast::all().iter().map(Engine::name).collect();
        Wrong::because(format!("expected auto or, on this machine, one of {}", here.join(", ")))
    })
}

/// Relays to connect to.
pub(crate) fn peers(value: &Value) -> Result<Vec<String>, Wrong> {
    let peers = value.as_list();
    if let Some(wrong) = peers.iter().find(|p| PeerAddress::parse(p).is_none()) {
        return Err(Wrong::entry(wrong));
    }
    at_most(peers.len(), MAX_PEERS, "the relay discovers the others through them")?;
    Ok(peers.to_vec())
}

/// The advertised address of this relay.
pub(crate) fn advertise(value: &Value) -> Result<Option<String>, Wrong> {
    let text = value.as_text();
    if !text.is_empty() && url_of(text).is_none() {
        return Err(Wrong::unexpected());
    }
    optional(value)
}

pub(crate) fn allow_private(value: &Value) -> Result<AllowPrivate, Wrong> {
    match value.as_text() {
        "yes" => Ok(AllowPrivate::Yes),
        "no" => Ok(AllowPrivate::No),
        "auto" => Ok(AllowPrivate::Auto),
        _ => Err(Wrong::unexpected()),
    }
}

pub(crate) fn forwarding_header(value: &Value) -> Result<ForwardingHeader, Wrong> {
    match value.as_text() {
        "auto" => Ok(ForwardingHeader::Auto),
        "x-forwarded-for" => Ok(ForwardingHeader::XForwardedFor),
        "forwarded" => Ok(ForwardingHeader::Forwarded),
        _ => Err(Wrong::unexpected()),
    }
}

/// Whether log lines are JSON.
pub(crate) fn is_json(value: &Value) -> Result<bool, Wrong> {
    Ok(value.as_text() == "json")
}

fn at_most(entries: usize, most: usize, hint: &str) -> Result<(), Wrong> {
    if entries <= most {
        return Ok(());
    }
    Err(Wrong::because(format!("expected at most {most}: {hint}")).found(format!("{entries} entries")))
}
