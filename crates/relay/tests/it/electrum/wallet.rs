//! A client that keeps the lines that it receives.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bitcoin::ScriptBuf;
use bitcoin::hashes::{Hash, sha256};
use serde_json::{Value, json};
use testkit::Payee;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::DEADLINE;

pub(crate) const SUBSCRIBE: &str = "blockchain.silentpayments.subscribe";

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection.
pub(crate) struct Wallet {
    stream: BufReader<Box<dyn Stream>>,
    id: u64,
    /// Notifications that no test step has looked at, with their time of arrival.
    pub(crate) notifications: Vec<(Instant, String)>,
    /// The answer to the subscription, and when it arrived.
    subscription: Option<(Instant, String)>,
    /// Progress of its notifications.
    progress: Vec<f64>,
}

/// A transaction of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) height: u64,
    pub(crate) txid: String,
    pub(crate) tweak_key: String,
}

impl Wallet {
    pub(crate) async fn connect(address: &str) -> Wallet {
        Wallet::on(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) fn on(stream: impl Stream + 'static) -> Wallet {
        Wallet {
            stream: BufReader::new(Box::new(stream)),
            id: 100,
            notifications: Vec::new(),
            subscription: None,
            progress: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, line: &str) {
        self.stream
            .get_mut()
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
    }

    /// Sends bytes without an end of a line.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).await.unwrap();
    }

    /// What comes next, which may be anything; `None` at the end of the connection.
    pub(crate) async fn line_or_bytes(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        let read = self.stream.read_until(b'\n', &mut bytes);
        let read = timeout(DEADLINE, read).await.expect("an end in time");
        // A reset is an end too.
        (read.unwrap_or(0) > 0).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The next line; `None` at the end of the connection.
    pub(crate) async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = timeout(DEADLINE, self.stream.read_line(&mut line))
            .await
            .expect("a line in time");
        (read.unwrap() > 0).then(|| line.trim_end_matches('\n').to_owned())
    }

    /// Sends a line, and returns the line that answers it. Notifications before it are kept.
    pub(crate) async fn exchange(&mut self, line: &str) -> String {
        self.send(line).await;
        loop {
            let line = self.line().await.expect("an answer");
            let message: Value = serde_json::from_str(&line).unwrap();
            if message.get("method").is_none() {
                return line;
            }
            self.keep(line);
        }
    }

    /// The result of a request.
    pub(crate) async fn ask(&mut self, method: &str, params: Value) -> Value {
        let answer = self.answer(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The error of a request.
    pub(crate) async fn refused(&mut self, method: &str, params: Value) -> (i64, String) {
        let answer = self.answer(method, params).await;
        let error = &answer["error"];
        (
            error["code"].as_i64().unwrap_or_else(|| panic!("{answer}")),
            error["message"].as_str().unwrap().to_owned(),
        )
    }

    async fn answer(&mut self, method: &str, params: Value) -> Value {
        self.id += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params});
        let line = self.exchange(&request.to_string()).await;
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&answer["id"], &answer["jsonrpc"]),
            (&json!(self.id), &json!("2.0")),
            "{line}"
        );
        answer
    }

    /// Subscribes to the payments of a payee. Returns the answer.
    pub(crate) async fn subscribe(&mut self, payee: &Payee, start: Value) -> Value {
        let params = keys(payee).into_iter().chain([start, json!(payee.labels)]).collect();
        let answer = self.ask(SUBSCRIBE, Value::Array(params)).await;
        self.subscribed(answer.to_string());
        answer
    }

    /// The answer to a subscription has arrived.
    pub(crate) fn subscribed(&mut self, object: String) {
        self.subscription = Some((Instant::now(), object));
        self.progress.clear();
    }

    fn keep(&mut self, line: String) {
        self.notifications.push((Instant::now(), line));
    }

    /// The next notification of the subscription: its progress and its transactions. Checks what holds for each.
    pub(crate) async fn notified(&mut self) -> (f64, Vec<Entry>) {
        loop {
            let (at, line) = self.notification().await;
            if !line.contains(SUBSCRIBE) {
                self.notifications.push((at, line));
                continue;
            }
            let (answered, object) = self.subscription.clone().expect("a subscription");
            assert!(
                line.contains(&format!(r#""params":{{"subscription":{object},"progress":"#)),
                "{line} is not of {object}"
            );
            let message: Value = serde_json::from_str(&line).unwrap();
            let progress = message["params"]["progress"].as_f64().unwrap();
            let history = message["params"]["history"].as_array().unwrap();
            assert!(history.len() <= 100, "{} transactions", history.len());
            if self.progress.is_empty() {
                // The answer was written before it arrived here.
                assert!(at - answered > Duration::from_millis(200), "{:?}", at - answered);
                assert!(history.is_empty() && progress < 1.0, "the first one: {line}");
            }
            assert!(
                self.progress.last().is_none_or(|last| *last <= progress),
                "{:?}, {line}",
                self.progress
            );
            self.progress.push(progress);
            let entry = |entry: &Value| Entry {
                height: entry["height"].as_u64().unwrap(),
                txid: entry["tx_hash"].as_str().unwrap().to_owned(),
                tweak_key: entry["tweak_key"].as_str().unwrap().to_owned(),
            };
            return (progress, history.iter().map(entry).collect());
        }
    }

    async fn notification(&mut self) -> (Instant, String) {
        let kept = self.notifications.iter().position(|(_, line)| line.contains(SUBSCRIBE));
        match kept {
            Some(at) => self.notifications.remove(at),
            None => {
                let line = self.line().await.expect("a notification");
                (Instant::now(), line)
            }
        }
    }

    /// The transactions of the history, up to the end of the scan.
    pub(crate) async fn history(&mut self) -> Vec<Entry> {
        let mut all = Vec::new();
        loop {
            let (progress, entries) = self.notified().await;
            if progress >= 1.0 {
                assert!(entries.is_empty(), "the end of the scan has none: {entries:?}");
                return all;
            }
            all.extend(entries);
        }
    }

    /// The next live transaction.
    pub(crate) async fn paid(&mut self) -> Entry {
        let (progress, mut entries) = self.notified().await;
        assert!(progress >= 1.0 && entries.len() == 1, "{progress} {entries:?}");
        entries.remove(0)
    }

    /// Waits for the notification of a script with this status.
    pub(crate) async fn status(&mut self, script: &str, status: &Value) {
        let expected = json!([script, status]);
        loop {
            let kept = self
                .notifications
                .iter()
                .position(|(_, line)| !line.contains(SUBSCRIBE));
            let line = match kept {
                Some(at) => self.notifications.remove(at).1,
                None => {
                    let line = self.line().await.expect("a notification");
                    if line.contains(SUBSCRIBE) {
                        self.keep(line);
                        continue;
                    }
                    line
                }
            };
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["method"] == "blockchain.scripthash.subscribe" && message["params"] == expected {
                return;
            }
        }
    }
}

/// The first two parameters.
pub(crate) fn keys(payee: &Payee) -> [Value; 2] {
    [json!(payee.scan_hex()), json!(payee.spend_public_key().to_string())]
}

/// Electrum's hash of a script.
pub(crate) fn script_hash(script: &ScriptBuf) -> String {
    let mut hash = sha256::Hash::hash(script.as_bytes()).to_byte_array();
    hash.reverse();
    bitcoin::hex::DisplayHex::to_lower_hex_string(&hash[..])
}

/// The status of a script with these transactions.
pub(crate) fn status(history: &[(&str, i64)]) -> Value {
    let text: String = history
        .iter()
        .map(|(txid, height)| format!("{txid}:{height}:"))
        .collect();
    json!(sha256::Hash::hash(text.as_bytes()).to_string())
}

/// How often each transaction is in a list, at each height.
pub(crate) fn counted(entries: &[Entry]) -> BTreeMap<(String, u64), usize> {
    let mut counted = BTreeMap::new();
    for entry in entries {
        *counted.entry((entry.txid.clone(), entry.height)).or_default() += 1;
    }
    counted
}
