//! One connection to the backend: its lines, and what waits for an answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sdk_relay_client::Trust;
use sdk_relay_config::ElectrumBackend;
use sdk_relay_platform::{blocking, net};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::ask::BackendCall;
use crate::error::RpcError;
use crate::limits::BACKEND_LINE;
use crate::outputs::ScriptHash;
use crate::reply::Text;
use crate::version::{PROTOCOL_MAX, PROTOCOL_MIN, server_name};

/// An answer or a notification of the backend.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(default)]
    pub(super) id: Option<u64>,
    #[serde(default, borrow)]
    pub(super) result: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) error: Option<Value>,
    #[serde(default)]
    pub(super) method: Option<String>,
    #[serde(default)]
    pub(super) params: Option<Vec<Option<String>>>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The answer to a request of the client.
pub(super) type Reply = oneshot::Sender<Result<Text, RpcError>>;

/// Why a connection without an answer is lost.
pub(super) fn silent(within: Duration) -> String {
    format!("no answer within {} s", within.as_secs())
}

/// Who waits for an answer.
#[derive(Debug)]
pub(super) enum Waiting {
    /// The client. With the script, if it subscribes to one or ends a subscription.
    Client {
        reply: Reply,
        script: Option<(&'static str, ScriptHash)>,
    },
    /// A subscription that the client had before the connection was lost.
    Again(ScriptHash),
    Ping,
}

/// A connection, and the requests without an answer.
pub(super) struct Link {
    stream: BufReader<Box<dyn Stream>>,
    line: Vec<u8>,
    next: u64,
    /// With the times of the requests.
    pub(super) waiting: BTreeMap<u64, (Instant, Waiting)>,
    within: Duration,
    last_sent: Instant,
    last_received: Instant,
}

impl Link {
    /// Connects, and agrees on a version.
    pub(super) async fn connect(address: &ElectrumBackend, within: Duration) -> Result<Self, String> {
        let connected = timeout(within, Self::connected(address, within)).await;
        connected.unwrap_or_else(|_| Err(silent(within)))
    }

    async fn connected(address: &ElectrumBackend, within: Duration) -> Result<Self, String> {
        let ElectrumBackend { is_tls, host, target } = address;
        let addresses = net::lookup(target).await.map_err(|error| error.to_string())?;
        let mut connected = Err("it has no address".to_owned());
        for address in addresses {
            connected = net::connect(address).await.map_err(|error| error.to_string());
            if connected.is_ok() {
                break;
            }
        }
        let tcp = connected?;
        let stream: Box<dyn Stream> =
            if *is_tls {
                let config = blocking::spawn(|| Trust::System.config()).await;
                let config = config
                    .map_err(|error| error.to_string())?
                    .map_err(|error| error.to_string())?;
                let name = ServerName::try_from(host.clone()).map_err(|error| error.to_string())?;
                let connector = TlsConnector::from(Arc::new(config));
                Box::new(connector.connect(name, tcp).await.map_err(|error| {
                    format!("TLS: {error}; if it does not speak TLS, write tcp:// in place of ssl://")
                })?)
            } else {
                Box::new(tcp)
            };
        let now = Instant::now();
        let mut link = Self {
            stream: BufReader::new(stream),
            line: Vec::new(),
            next: 1,
            waiting: BTreeMap::new(),
            within,
            last_sent: now,
            last_received: now,
        };
        let version = json!({
            "jsonrpc": "2.0",
            "id": 0,
            "method": "server.version",
            "params": [server_name(), [PROTOCOL_MIN, PROTOCOL_MAX]],
        });
        link.write(&version.to_string()).await?;
        let line = link.read().await?;
        let message: Message<'_> =
            serde_json::from_slice(&line).map_err(|_| "it does not speak JSON-RPC".to_owned())?;
        match message.error {
            Some(error) if !error.is_null() => Err(format!("it refuses the protocol: {error}")),
            _ => Ok(link),
        }
    }

    /// Sends a request.
    pub(super) async fn send(&mut self, call: &BackendCall, waiting: Waiting) -> Result<(), String> {
        // Those whose clients have stopped waiting.
        self.waiting.retain(|_, (_, waiting)| match waiting {
            Waiting::Client { reply, .. } => !reply.is_closed(),
            Waiting::Again(_) | Waiting::Ping => true,
        });
        let id = self.next;
        self.next += 1;
        self.waiting.insert(id, (Instant::now(), waiting));
        let request = json!({"jsonrpc": "2.0", "id": id, "method": call.method, "params": call.params});
        self.write(&request.to_string()).await
    }

    async fn write(&mut self, line: &str) -> Result<(), String> {
        self.last_sent = Instant::now();
        let stream = self.stream.get_mut();
        let written = async {
            stream.write_all(format!("{line}\n").as_bytes()).await?;
            stream.flush().await
        };
        match timeout(self.within, written).await {
            Ok(written) => written.map_err(|error| error.to_string()),
            Err(_) => Err(format!("it has read nothing for {} s", self.within.as_secs())),
        }
    }

    /// The next line. Cancel safe.
    pub(super) async fn read(&mut self) -> Result<Vec<u8>, String> {
        loop {
            let left = (BACKEND_LINE - self.line.len().min(BACKEND_LINE)) as u64;
            if left == 0 {
                return Err(format!("it has sent a line of more than {BACKEND_LINE} bytes"));
            }
            let mut limited = (&mut self.stream).take(left);
            // What it has read is in the line also if this is cancelled.
            let read = limited
                .read_until(b'\n', &mut self.line)
                .await
                .map_err(|error| error.to_string())?;
            if self.line.ends_with(b"\n") {
                self.last_received = Instant::now();
                return Ok(std::mem::take(&mut self.line));
            }
            if read == 0 {
                return Err("it has closed the connection".to_owned());
            }
        }
    }

    /// When a ping is due, if nothing is sent before.
    pub(super) fn ping_at(&self, interval: Duration) -> Instant {
        self.last_sent + interval
    }

    /// When the connection counts as lost, if nothing is received before; `None` if nothing waits.
    pub(super) fn lost_at(&self) -> Option<Instant> {
        let (_, (since, _)) = self.waiting.first_key_value()?;
        Some((*since).max(self.last_received) + self.within)
    }

    /// Why it is lost at that time.
    pub(super) fn silent(&self) -> String {
        silent(self.within)
    }

    /// Whether the client is subscribing to this script.
    pub(super) fn is_subscribing(&self, script: ScriptHash) -> bool {
        let mut waiting = self.waiting.values();
        waiting.any(|(_, waiting)| match waiting {
            Waiting::Client { script: of, .. } => of.is_some_and(|(_, of)| of == script),
            Waiting::Again(of) => *of == script,
            Waiting::Ping => false,
        })
    }

    /// Subscriptions that are being made again.
    pub(super) fn again(&self) -> usize {
        let waiting = self.waiting.values();
        waiting
            .filter(|(_, waiting)| matches!(waiting, Waiting::Again(_)))
            .count()
    }
}
