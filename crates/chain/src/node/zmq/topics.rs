//! Checks that the node publishes the topics that the relay subscribes to.

use serde::Deserialize;
use serde_json::json;

use super::frame::Topic;
use crate::rpc::{RpcClient, code};

/// One entry of the reply of `getzmqnotifications`.
#[derive(Deserialize)]
pub(super) struct Notifier {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) address: String,
}

impl Notifier {
    /// Its topic, if the relay subscribes to it.
    pub(super) fn topic(&self) -> Option<Topic> {
        let name = self.kind.strip_prefix("pub")?;
        Topic::ALL.into_iter().find(|topic| topic.name() == name)
    }
}

/// Topics that the node does not publish at an address.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Missing {
    /// Advice for the operator.
    pub(super) advice: String,
    /// Whether `sequence` is among them: the only topic that reports every change of the mempool and of the chain.
    pub(super) lacks_sequence: bool,
    /// Whether it publishes none of the topics there.
    pub(super) lacks_all: bool,
}

/// The topics that the node does not publish at `url`; `Some(None)` if it publishes all of them. `None` if the request
/// fails, which the follower reports.
pub(super) async fn missing(rpc: RpcClient, url: String) -> Option<Option<Missing>> {
    match rpc.call::<Vec<Notifier>>("getzmqnotifications", json!([])).await {
        Ok(notifiers) => Some(complaint(&notifiers, &url)),
        Err(error) if error.server().is_some_and(|e| e.code == code::METHOD_NOT_FOUND) => Some(Some(Missing {
            advice: format!(
                "the node was built without ZMQ, but another program listens at {url}: remove bitcoin_core.zmq_url to poll the node"
            ),
            lacks_sequence: true,
            lacks_all: true,
        })),
        Err(error) => {
            tracing::debug!(%error, "the node does not report which ZMQ topics it publishes");
            None
        }
    }
}

fn complaint(notifiers: &[Notifier], url: &str) -> Option<Missing> {
    // Only the ports are compared: the host may be written differently, or be that of a proxy.
    let here = |notifier: &&Notifier| port(&notifier.address) == port(url);
    let lacks = |topic: &Topic| !notifiers.iter().filter(here).any(|n| n.topic() == Some(*topic));
    let options: Vec<String> = Topic::ALL
        .into_iter()
        .filter(lacks)
        .map(|topic| format!("zmqpub{}={url}", topic.name()))
        .collect();
    (!options.is_empty()).then(|| Missing {
        advice: format!(
            "the node does not publish all ZMQ topics at {url}: add {} to its configuration and restart it; until then changes are detected later",
            options.join(", ")
        ),
        lacks_sequence: lacks(&Topic::Sequence),
        lacks_all: options.len() == Topic::ALL.len(),
    })
}

fn port(url: &str) -> Option<&str> {
    url.rsplit_once(':').map(|(_, port)| port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notifier(kind: &str, address: &str) -> Notifier {
        Notifier {
            kind: kind.to_owned(),
            address: address.to_owned(),
        }
    }

    #[test]
    fn the_missing_options_are_named() {
        let mut notifiers = vec![
            notifier("pubrawtx", "tcp://0.0.0.0:28332"),
            notifier("pubhashblock", "tcp://0.0.0.0:28332"),
            notifier("pubsequence", "tcp://0.0.0.0:28333"),
        ];
        let complaint_here = |notifiers: &[Notifier]| complaint(notifiers, "tcp://127.0.0.1:28332");
        let found = complaint_here(&notifiers).unwrap();
        let text = &found.advice;
        assert!(text.contains("add zmqpubsequence=tcp://127.0.0.1:28332 to"), "{text}");
        assert!(found.lacks_sequence);
        notifiers.push(notifier("pubsequence", "tcp://0.0.0.0:28332"));
        assert_eq!(complaint_here(&notifiers), None);
        notifiers.remove(0);
        assert!(complaint_here(&notifiers).is_some_and(|found| !found.lacks_sequence));
    }

    #[tokio::test]
    async fn the_topics_of_a_real_node() {
        let mut node = testkit::Bitcoind::start(testkit::Options::default()).await;
        let rpc = RpcClient::new(&node.rpc_url(), crate::rpc::Auth::CookieFile(node.cookie_file())).unwrap();
        assert_eq!(missing(rpc.clone(), node.zmq_url()).await, Some(None));
        node.stop().await;
        assert_eq!(
            missing(rpc.clone(), node.zmq_url()).await,
            None,
            "the follower reports a node that is down"
        );
        let args = vec![format!("-zmqpubrawtx={}", node.zmq_url())];
        node.start_again_with(testkit::Options {
            zmq: false,
            args,
            ..testkit::Options::default()
        })
        .await;
        let Missing { advice: text, .. } = missing(rpc, node.zmq_url()).await.unwrap().unwrap();
        assert!(
            text.contains("zmqpubsequence=") && text.contains("zmqpubhashblock="),
            "{text}"
        );
        assert!(!text.contains("zmqpubrawtx="), "{text}");
    }
}
