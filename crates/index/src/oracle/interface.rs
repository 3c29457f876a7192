//! The interface of an Oracle: HTTP or gRPC.

use sdk_relay_chain::BlockRef;
use sdk_relay_config::{WrongUrl, check_url};
use sdk_relay_platform::net::Proxy;
use sdk_relay_protocol::blindbit::BlindbitInfo;

use super::grpc::Grpc;
use super::http::Http;
use super::request::{NoAnswer, OracleBlock, Version};

/// A client of one Oracle.
#[derive(Debug)]
pub(super) enum Interface {
    Http(Http),
    Grpc(Grpc),
}

impl Interface {
    /// The scheme of the address decides.
    pub(super) fn new(url: &str, proxy: Option<Proxy>) -> Result<Self, WrongUrl> {
        let url = check_url(url)?;
        match Grpc::at(&url, proxy.as_ref())? {
            Some(grpc) => Ok(Self::Grpc(grpc)),
            None => Http::new(url, proxy).map(Self::Http),
        }
    }

    pub(super) fn url(&self) -> &str {
        match self {
            Self::Http(http) => http.url(),
            Self::Grpc(grpc) => grpc.url(),
        }
    }

    pub(super) async fn info(&self) -> Result<BlindbitInfo, NoAnswer> {
        match self {
            Self::Http(http) => http.info().await,
            Self::Grpc(grpc) => grpc.info().await,
        }
    }

    /// Its version: over gRPC always the second.
    pub(super) async fn version(&self, info: &BlindbitInfo) -> Result<Version, NoAnswer> {
        match self {
            Self::Http(http) => http.version(info).await,
            Self::Grpc(grpc) => grpc.check(info).await.map(|()| Version::V2),
        }
    }

    /// Its answer for this block; `None` if it has no block at this height, or another one.
    pub(super) async fn block(&self, version: Version, at: BlockRef) -> Result<Option<OracleBlock>, NoAnswer> {
        match self {
            Self::Http(http) => http.block(version, at).await,
            Self::Grpc(grpc) => grpc.block(at).await,
        }
    }

    /// Whether it has this block, eligible transactions or not.
    pub(super) async fn has_block(&self, version: Version, at: BlockRef) -> Result<bool, NoAnswer> {
        match self {
            Self::Http(http) => http.has_block(version, at).await,
            Self::Grpc(grpc) => grpc.has_block(at).await,
        }
    }
}
