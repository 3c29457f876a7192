//! `sdk_relay scan`: the scan itself is a crate of its own; the HTTP API is asked here.

use anyhow::Context;
use sdk_relay_config::Overrides;
use sdk_relay_scan::{Arguments, HttpAccess};

use crate::status::{Flags, Relay, http_url};

/// Scans the history of a wallet.
pub(super) fn scan(arguments: Arguments, settings: Overrides) -> anyhow::Result<()> {
    sdk_relay_scan::scan(arguments, settings, first_block_since)
}

/// The height at which a scan since this time begins, from a relay.
fn first_block_since(access: HttpAccess, since: u64) -> anyhow::Result<u32> {
    let HttpAccess {
        url,
        token,
        trust,
        proxy,
    } = access;
    let url = http_url(&url)?;
    let flags = Flags {
        url: "--http-url",
        token: "name a file with it (--token-file)",
    };
    let relay = Relay::new(url, token, trust, proxy, flags)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    runtime
        .block_on(relay.first_block_since(since))
        .context("cannot ask for the first block of the date in --from")
}
