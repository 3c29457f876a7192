//! The Electrum server behind this relay, for one connection: requests about what the relay does not know.
//!
//! The connection to the backend is made at the first request, and again after it was lost. Requests and
//! notifications wait in bounded queues.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sdk_relay_client::Trust;
use sdk_relay_config::ElectrumBackend;
use sdk_relay_platform::{blocking, net};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::ask::BackendCall;
use crate::error::RpcError;
use crate::limits::{BACKEND_AHEAD, BACKEND_LINE};
use crate::methods::SCRIPTS;
use crate::outputs::ScriptHash;
use crate::reply::Text;
use crate::version::{PROTOCOL_MAX, PROTOCOL_MIN, server_name};

/// A script of the backend has changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) script: ScriptHash,
    pub(crate) status: Option<String>,
}

/// Sends requests to the backend.
#[derive(Clone, Debug)]
pub(crate) struct Backend(mpsc::Sender<Request>);

type Reply = oneshot::Sender<Result<Text, RpcError>>;

#[derive(Debug)]
struct Request {
    call: BackendCall,
    reply: Reply,
}

/// Runs the connection to the backend.
pub(crate) struct Driver {
    address: ElectrumBackend,
    within: Duration,
    requests: mpsc::Receiver<Request>,
    changed: mpsc::Sender<Changed>,
}

/// An answer or a notification of the backend.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default)]
    id: Option<u64>,
    #[serde(default, borrow)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    params: Option<Vec<Option<String>>>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection to the backend, and the requests without an answer.
struct Link {
    stream: BufReader<Box<dyn Stream>>,
    line: Vec<u8>,
    next: u64,
    waiting: HashMap<u64, Reply>,
}

impl Backend {
    /// The handle for requests, and what runs them.
    pub(crate) fn new(address: ElectrumBackend, within: Duration) -> (Self, Driver, mpsc::Receiver<Changed>) {
        let (sender, requests) = mpsc::channel(BACKEND_AHEAD);
        let (changed, changes) = mpsc::channel(BACKEND_AHEAD);
        let driver = Driver {
            address,
            within,
            requests,
            changed,
        };
        (Self(sender), driver, changes)
    }

    /// The answer to a request.
    pub(crate) async fn call(&self, call: BackendCall, within: Duration) -> Result<Text, RpcError> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.0.send(Request { call, reply }).await.ok()?;
            answer.await.ok()
        };
        match timeout(within, asked).await {
            Ok(Some(answer)) => answer,
            Ok(None) => Err(lost("the connection was lost")),
            Err(_) => Err(lost(&format!("no answer within {} s", within.as_secs()))),
        }
    }
}

impl Driver {
    /// Runs until the connection of the client ends.
    pub(crate) async fn run(mut self) {
        while let Some(request) = self.requests.recv().await {
            match timeout(self.within, self.connect()).await {
                Ok(Ok(link)) => self.serve(link, request).await,
                Ok(Err(reason)) => refuse(request, &reason),
                Err(_) => refuse(request, &format!("not connected within {} s", self.within.as_secs())),
            }
        }
    }

    /// Connects, and agrees on a version.
    async fn connect(&self) -> Result<Link, String> {
        let ElectrumBackend { is_tls, host, target } = &self.address;
        let addresses = net::lookup(target).await.map_err(|error| error.to_string())?;
        let mut connected = Err("it has no address".to_owned());
        for address in addresses {
            connected = net::connect(address).await.map_err(|error| error.to_string());
            if connected.is_ok() {
                break;
            }
        }
        let tcp = connected?;
        let stream: Box<dyn Stream> = if *is_tls {
            let config = blocking::spawn(|| Trust::System.config()).await;
            let config = config
                .map_err(|error| error.to_string())?
                .map_err(|error| error.to_string())?;
            let name = ServerName::try_from(host.clone()).map_err(|error| error.to_string())?;
            let connector = TlsConnector::from(Arc::new(config));
            Box::new(connector.connect(name, tcp).await.map_err(|error| error.to_string())?)
        } else {
            Box::new(tcp)
        };
        let mut link = Link {
            stream: BufReader::new(stream),
            line: Vec::new(),
            next: 1,
            waiting: HashMap::new(),
        };
        let version = json!({
            "jsonrpc": "2.0",
            "id": 0,
            "method": "server.version",
            "params": [server_name(), [PROTOCOL_MIN, PROTOCOL_MAX]],
        });
        link.write(&version.to_string())
            .await
            .map_err(|error| error.to_string())?;
        let line = link.read().await?;
        let message: Message<'_> =
            serde_json::from_slice(&line).map_err(|_| "it does not speak JSON-RPC".to_owned())?;
        match message.error {
            Some(error) if !error.is_null() => Err(format!("it refuses the protocol: {error}")),
            _ => Ok(link),
        }
    }

    /// Passes on requests and answers until the connection is lost.
    async fn serve(&mut self, mut link: Link, first: Request) {
        let mut next = Some(first);
        let reason = loop {
            if let Some(request) = next.take()
                && let Err(error) = link.send(request).await
            {
                break error.to_string();
            }
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(request) => next = Some(request),
                    None => return,
                },
                line = link.read() => match line {
                    Ok(line) => self.received(&mut link, &line).await,
                    Err(reason) => break reason,
                },
            }
        };
        for (_, reply) in link.waiting {
            answer(reply, Err(lost(&reason)));
        }
    }

    async fn received(&self, link: &mut Link, line: &[u8]) {
        let Ok(message) = serde_json::from_slice::<Message<'_>>(line) else {
            tracing::debug!("the Electrum backend has sent a line that is no message");
            return;
        };
        if let Some(reply) = message.id.and_then(|id| link.waiting.remove(&id)) {
            let error = message.error.filter(|error| !error.is_null());
            let outcome = match error {
                Some(error) => Err(RpcError::of_backend(
                    error["code"].as_i64().unwrap_or(1),
                    error["message"]
                        .as_str()
                        .or(error.as_str())
                        .unwrap_or("an error without a text"),
                )),
                None => Ok(message
                    .result
                    .map_or_else(|| "null".to_owned(), |result| result.get().to_owned())),
            };
            answer(reply, outcome);
            return;
        }
        let is_change = message.method.as_deref() == Some(SCRIPTS);
        if let (true, Some([Some(script), status])) = (is_change, message.params.as_deref())
            && let Ok(script) = script.parse()
        {
            let changed = Changed {
                script,
                status: status.clone(),
            };
            // Waits for the client: the backend does not read it faster than the client does.
            if self.changed.send(changed).await.is_err() {
                tracing::debug!("a change of the Electrum backend came after the end of the connection");
            }
        }
    }
}

impl Link {
    async fn send(&mut self, Request { call, reply }: Request) -> std::io::Result<()> {
        self.waiting.retain(|_, reply| !reply.is_closed());
        let id = self.next;
        self.next += 1;
        self.waiting.insert(id, reply);
        let request = json!({"jsonrpc": "2.0", "id": id, "method": call.method, "params": call.params});
        self.write(&request.to_string()).await
    }

    async fn write(&mut self, line: &str) -> std::io::Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(format!("{line}\n").as_bytes()).await?;
        stream.flush().await
    }

    /// The next line. Cancel safe.
    async fn read(&mut self) -> Result<Vec<u8>, String> {
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
                return Ok(std::mem::take(&mut self.line));
            }
            if read == 0 {
                return Err("it has closed the connection".to_owned());
            }
        }
    }
}

fn lost(reason: &str) -> RpcError {
    RpcError::unavailable(format!(
        "the Electrum server of this relay (electrum.backend): {reason}"
    ))
}

fn refuse(request: Request, reason: &str) {
    tracing::debug!(reason, "the Electrum backend cannot be used");
    answer(request.reply, Err(lost(reason)));
}

fn answer(reply: Reply, outcome: Result<Text, RpcError>) {
    if reply.send(outcome).is_err() {
        tracing::debug!("an answer of the Electrum backend came after the deadline of its request");
    }
}

#[cfg(test)]
mod tests;
