//! Options of a client.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use sdk_relay_protocol::{API_VERSION, Handshake, Role, SecretHex, Topic};

use crate::connection::Connection;
use crate::dial::Dial;
use crate::transport::Connector;
use crate::{Client, ConnectError, Events, Trust, driver};

/// Options of the handshake, and of reconnecting.
#[derive(Clone, Debug)]
#[must_use = "`connect` opens the connection"]
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
    pub(crate) connector: Connector,
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
            connector: Connector::default(),
        }
    }

    /// Name of this client, 1 to 128 printable characters. The relay shows it to its operator.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = id.into();
        self
    }

    /// Topics to subscribe to in the handshake; the default is `notifications`. `sync` also allows [`Client::sync`].
    pub fn topics(mut self, topics: impl IntoIterator<Item = Topic>) -> Self {
        self.capabilities = topics.into_iter().map(|t| t.name().to_owned()).collect();
        self
    }

    /// All `capabilities` of the handshake, instead of [`Self::topics`].
    pub fn capabilities<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.capabilities = names.into_iter().map(Into::into).collect();
        self
    }

    /// Last `event_id` that the app has processed: the relay first sends every later event that it retains. `Some(0)`
    /// requests all of them, `None` only new ones. [`Client::relay`] says whether there is a gap.
    pub fn resume_from(mut self, event_id: Option<u64>) -> Self {
        self.resume_from = event_id;
        self
    }

    /// Whether to reconnect when the connection ends. On by default.
    pub fn reconnect(mut self, again: bool) -> Self {
        self.reconnect = again;
        self
    }

    /// Further relays to connect to if this one is unavailable, preferred ones first. The client trusts them like
    /// this one: it sends them the token and the scan keys of watches.
    pub fn others<S: Into<String>>(mut self, urls: impl IntoIterator<Item = S>) -> Self {
        self.others = urls.into_iter().map(Into::into).collect();
        self
    }

    /// Whether to fail over to relays that the relay has listed, but the app has not. On by default; a client with
    /// watches does so only with [`Self::trust_mesh`]. Only the relay itself reports payments to its own wallet: set
    /// this to `false` if the app waits for those.
    pub fn follow_mesh(mut self, follow: bool) -> Self {
        self.follow_mesh = follow;
        self
    }

    /// Whether the client may send the scan keys of watches to any relay of the mesh, whoever operates it. Somebody
    /// who has a scan key can see all payments to its address. Off by default. The client never sends the token to
    /// these relays.
    pub fn trust_mesh(mut self, trust: bool) -> Self {
        self.trust_mesh = trust;
        self
    }

    /// Connects as a relay: its name, and the address at which it can be reached (`HOST:PORT`).
    pub fn relay(mut self, relay_id: impl Into<String>, address: Option<String>) -> Self {
        self.role = Some(Role::Relay);
        self.relay_id = Some(relay_id.into());
        self.address = address;
        self
    }

    /// API version to send, instead of [`API_VERSION`].
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// `auth.read_token` of the relay, if it requires one.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(SecretHex::new(token.into()));
        self
    }

    /// For `wss://`: a PEM file of trusted certificates, instead of those that the system trusts. The certificate of
    /// the relay must be one of them, or be issued by one. The file is read for each connection.
    pub fn trust(self, pem: impl Into<PathBuf>) -> Self {
        self.trusting(Trust::File(pem.into()))
    }

    /// For `wss://`: the certificates that the relay may have. Those that the system trusts by default.
    pub fn trusting(mut self, trust: Trust) -> Self {
        self.connector.trust = trust;
        self
    }

    /// Opens byte streams with this instead of [`Tcp`](crate::Tcp): through a proxy, for instance.
    pub fn dialer(mut self, dialer: Arc<dyn Dial>) -> Self {
        self.connector.dialer = dialer;
        self
    }

    /// Connects and completes the handshake. Tries once only, so that an app learns at its start if its relay is
    /// unavailable.
    pub async fn connect(self) -> Result<(Client, Events), ConnectError> {
        let handshake = Handshake {
            resume_from: self.resume_from,
            ..self.handshake(self.capabilities.clone())
        };
        let (connection, response) = Connection::open(&self.url, &self.connector, handshake).await?;
        Ok(driver::start(self, connection, response))
    }

    /// A handshake with the token, without a position to resume from.
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

/// Unix seconds; `None` if the clock of the machine is before 1970.
pub(crate) fn now() -> Option<u64> {
    Some(SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs())
}
