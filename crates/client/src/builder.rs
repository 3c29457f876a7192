//! How a client is to connect.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use sdk_relay_protocol::{API_VERSION, Handshake, Role, SecretHex, Topic};

use crate::connection::Connection;
use crate::tls::Trust;
use crate::{Client, ConnectError, Events, driver};

/// What to say in the handshake, and what to do when the connection ends.
#[derive(Clone, Debug)]
#[must_use = "nothing is connected before `connect`"]
pub struct ClientBuilder {
    pub(crate) url: String,
    pub(crate) others: Vec<String>,
    pub(crate) follow_mesh: bool,
    pub(crate) trust_mesh: bool,
    pub(crate) client_id: String,
    pub(crate) version: String,
    pub(crate) capabilities: Vec<String>,
    pub(crate) resume_from: Option<u64>,
    pub(crate) role: Option<Role>,
    pub(crate) relay_id: Option<String>,
    pub(crate) token: Option<SecretHex>,
    pub(crate) address: Option<String>,
    pub(crate) reconnect: bool,
    pub(crate) trust: Trust,
}

impl ClientBuilder {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            others: Vec::new(),
            follow_mesh: true,
            trust_mesh: false,
            client_id: "sdk-relay-client".to_owned(),
            version: API_VERSION.to_owned(),
            capabilities: vec![Topic::Notifications.name().to_owned()],
            resume_from: None,
            role: None,
            relay_id: None,
            token: None,
            address: None,
            reconnect: true,
            trust: Trust::default(),
        }
    }

    /// Name of this client, 1 to 128 printable characters. Relays show it to their operators.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = id.into();
        self
    }

    /// The topics to begin with, in place of `notifications` alone. `sync` also allows [`Client::sync`].
    pub fn topics(mut self, topics: impl IntoIterator<Item = Topic>) -> Self {
        self.capabilities = topics.into_iter().map(|t| t.name().to_owned()).collect();
        self
    }

    /// The `capabilities` of the handshake in full, in place of [`Self::topics`].
    pub fn capabilities<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.capabilities = names.into_iter().map(Into::into).collect();
        self
    }

    /// The last `event_id` that the app has dealt with: every later event that the relay still has comes first.
    /// `Some(0)` asks for all of them, `None` for new ones only. See [`Client::relay`] for whether there is a gap.
    pub fn resume_from(mut self, event_id: Option<u64>) -> Self {
        self.resume_from = event_id;
        self
    }

    /// Whether to connect again when the connection ends. On by default.
    pub fn reconnect(mut self, again: bool) -> Self {
        self.reconnect = again;
        self
    }

    /// Other relays to turn to when this one is away, the preferred first. They may be told what this one may be: the token, and the scan keys
    /// of watches.
    pub fn others<S: Into<String>>(mut self, urls: impl IntoIterator<Item = S>) -> Self {
        self.others = urls.into_iter().map(Into::into).collect();
        self
    }

    /// Whether to turn to relays that the app has not named, but its relay has told of. On by default; a client that has watches does so only
    /// with [`Self::trust_mesh`]. Payments to a relay's own wallet are told by that relay alone: an app that waits for those says `false`.
    pub fn follow_mesh(mut self, follow: bool) -> Self {
        self.follow_mesh = follow;
        self
    }

    /// Whether the relays of the mesh, whoever runs them, may have the scan keys of watches: who has a scan key sees all payments to its
    /// address. Off by default. The token is for none of them in any case.
    pub fn trust_mesh(mut self, trust: bool) -> Self {
        self.trust_mesh = trust;
        self
    }

    /// This is a relay of the mesh: its name, and where it can be reached (`HOST:PORT`).
    pub fn relay(mut self, relay_id: impl Into<String>, address: Option<String>) -> Self {
        self.role = Some(Role::Relay);
        self.relay_id = Some(relay_id.into());
        self.address = address;
        self
    }

    /// The API version to name, in place of [`API_VERSION`].
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// The relay's `auth.read_token`, where it asks for one.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(SecretHex::new(token.into()));
        self
    }

    /// For `wss://`: a PEM file of certificates, in place of those that the system trusts. The relay's own must be one of them, or be issued
    /// by one. It is read at each connection.
    pub fn trust(mut self, pem: impl Into<PathBuf>) -> Self {
        self.trust.file = Some(pem.into());
        self
    }

    /// Connects and shakes hands, once: an app that starts learns at once when its relay is not there.
    pub async fn connect(self) -> Result<(Client, Events), ConnectError> {
        let handshake = Handshake {
            resume_from: self.resume_from,
            ..self.handshake(self.capabilities.clone())
        };
        let (connection, response) = Connection::open(&self.url, &self.trust, handshake).await?;
        Ok(driver::start(self, connection, response))
    }

    /// With the token, and with no place to resume from.
    pub(crate) fn handshake(&self, capabilities: Vec<String>) -> Handshake {
        Handshake {
            client_id: self.client_id.clone(),
            version: self.version.clone(),
            capabilities,
            timestamp: now(),
            resume_from: None,
            resume_after: Vec::new(),
            token: self.token.clone(),
            role: self.role,
            relay_id: self.relay_id.clone(),
            address: self.address.clone(),
            identity: None,
        }
    }
}

/// Unix seconds; `None` on a machine whose clock stands before 1970.
pub(crate) fn now() -> Option<u64> {
    Some(SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs())
}
