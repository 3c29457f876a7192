//! The listening sockets.

use std::net::SocketAddr;

use sdk_relay_config::Config;
use sdk_relay_platform::net::Listener;
use sdk_relay_service::preflight;
use sdk_relay_transport::Ports;

/// All sockets, listening. Connections wait in the system's queue until a server takes them.
pub(crate) struct Sockets {
    pub(crate) ws: Listener,
    pub(crate) ws_addr: SocketAddr,
    pub(crate) http: Listener,
    pub(crate) http_addr: SocketAddr,
    /// The Electrum protocol without TLS, and with it; `None` where it is off.
    pub(crate) electrum: Option<Listener>,
    pub(crate) electrum_tls: Option<Listener>,
    /// BlindBit's gRPC interface, if it is configured.
    pub(crate) grpc: Option<(Listener, SocketAddr)>,
}

/// Listens on the configured addresses. After a restart, sockets with an unchanged address are reused.
pub(crate) fn open_sockets(ports: &Ports, config: &Config) -> anyhow::Result<Sockets> {
    let kept: Vec<_> = preflight::listen_addresses(config)
        .into_iter()
        .map(|(_, address)| address)
        .collect();
    ports.keep_only(&kept);
    let listen = |key: &str, address| {
        let listening = ports.listen(address);
        listening.map_err(|error| preflight::cannot_listen(config, key, address, &error))
    };
    let (ws, http) = (listen("ws_url", config.ws_url)?, listen("http_url", config.http_url)?);
    let if_set = |key: &str, address: Option<SocketAddr>| address.map(|address| listen(key, address)).transpose();
    let electrum = if_set("electrum.listen", config.electrum.listen)?;
    let electrum_tls = if_set("electrum.tls_listen", config.electrum.tls_listen)?;
    let grpc = match if_set("blindbit.grpc_listen", config.blindbit_grpc)? {
        Some(listener) => {
            let address = listener.local_addr()?;
            Some((listener, address))
        }
        None => None,
    };
    Ok(Sockets {
        ws_addr: ws.local_addr()?,
        ws,
        http_addr: http.local_addr()?,
        http,
        electrum,
        electrum_tls,
        grpc,
    })
}
