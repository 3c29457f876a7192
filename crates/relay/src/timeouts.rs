//! How long peers may take, for each crate that waits for them.

/// The time limits of a relay. Tests give shorter ones to [`Relay::start_with`](crate::relay::Relay::start_with).
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeouts {
    /// Connections of both ports.
    pub transport: sdk_relay_transport::Timeouts,
    /// WebSocket clients.
    pub ws: sdk_relay_ws::Timeouts,
    /// Other relays.
    pub mesh: sdk_relay_mesh_net::Timeouts,
    /// BlindBit's routes.
    pub blindbit: sdk_relay_blindbit::Timeouts,
    /// Electrum clients, and what they wait for.
    pub electrum: sdk_relay_electrum::Timeouts,
    /// Endpoints of webhooks.
    pub webhooks: sdk_relay_webhooks::Timeouts,
}
