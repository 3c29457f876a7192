//! What a relay would receive over ZMQ, for a check of the configuration.

use sdk_relay_platform::net::Proxy;

use super::connect::connect;
use super::{reported, topics};
use crate::node::zmq_address::ZmqAddress;
use crate::rpc::{RpcClient, RpcError};

/// What a relay would receive over ZMQ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZmqReport {
    /// ZMQ is not used.
    Off,
    /// The node publishes none of the topics; how to change that.
    Absent(&'static str),
    /// There is a publisher.
    Published {
        /// Its address.
        url: String,
        /// Why it cannot be reached from here, if so.
        unreachable: Option<String>,
        /// The address that the node reports, if it could be asked.
        reported: Option<String>,
        /// Which topics are missing and what to do, if so.
        missing: Option<String>,
        /// Whether `sequence` is among them, so that the node has to be polled.
        lacks_sequence: bool,
    },
}

/// Asks the node what it publishes, and connects to the publisher, through the proxy if there is one.
pub async fn zmq_report(rpc: &RpcClient, address: &ZmqAddress, proxy: Option<&Proxy>) -> Result<ZmqReport, RpcError> {
    let (url, reported) = match address {
        ZmqAddress::Off => return Ok(ZmqReport::Off),
        ZmqAddress::At(url) => (url.clone(), reported::address(rpc).await.ok().flatten()),
        ZmqAddress::Reported => match reported::address(rpc).await? {
            Some(url) => (url.clone(), Some(url)),
            None => return Ok(ZmqReport::Absent(reported::ADVICE)),
        },
    };
    let missing = topics::missing(rpc.clone(), url.clone()).await.flatten();
    Ok(ZmqReport::Published {
        unreachable: connect(&url, proxy).await.err().map(|error| error.to_string()),
        lacks_sequence: missing.as_ref().is_some_and(|missing| missing.lacks_sequence),
        missing: missing.map(|missing| missing.advice),
        reported,
        url,
    })
}
