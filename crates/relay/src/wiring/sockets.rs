//! The listening sockets of both APIs.

use std::net::SocketAddr;

use sdk_relay_config::Config;
use sdk_relay_platform::net::Listener;
use sdk_relay_service::preflight;
use sdk_relay_transport::Ports;

/// Both sockets, listening. Connections wait in the system's queue until a server takes them.
pub(crate) struct Sockets {
    pub(crate) ws: Listener,
    pub(crate) ws_addr: SocketAddr,
    pub(crate) http: Listener,
    pub(crate) http_addr: SocketAddr,
}

/// Listens on the configured addresses. After a restart, sockets with an unchanged address are reused.
pub(crate) fn open_sockets(ports: &Ports, config: &Config) -> anyhow::Result<Sockets> {
    ports.keep_only(&[config.ws_url, config.http_url]);
    let listen = |key: &str, address| {
        let listening = ports.listen(address);
        listening.map_err(|error| preflight::cannot_listen(config, key, address, &error))
    };
    let (ws, http) = (listen("ws_url", config.ws_url)?, listen("http_url", config.http_url)?);
    Ok(Sockets {
        ws_addr: ws.local_addr()?,
        ws,
        http_addr: http.local_addr()?,
        http,
    })
}
