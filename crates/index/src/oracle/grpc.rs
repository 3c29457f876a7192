//! gRPC client of an Oracle of version 2. Every answer has a deadline and a size limit, and is parsed strictly.

use std::error::Error as _;
use std::time::Duration;

use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, Txid};
use hyper::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sdk_relay_blindbit_proto::oracle_service_client::OracleServiceClient;
use sdk_relay_blindbit_proto::{
    BlockHeightRequest, BlockIdentifier, ComputeIndexTxItem, RangedBlockHeightRequestFiltered,
};
use sdk_relay_chain::BlockRef;
use sdk_relay_chain::rpc::Connector;
use sdk_relay_config::WrongUrl;
use sdk_relay_echo::reason;
use sdk_relay_platform::net::Proxy;
use sdk_relay_protocol::blindbit::BlindbitInfo;
use tonic::body::Body;
use tonic::{Code, Request, Status};

use super::request::{
    AGAIN, CONNECT_WITHIN, IDLE_FOR, LARGEST_ANSWER, Named, NoAnswer, OracleBlock, SOME_PAUSE, answer_within,
    client_tls, not_sent,
};

const INFO: &str = "GetInfo";
const BLOCK: &str = "StreamComputeIndex";
const HASH: &str = "GetBlockHashByHeight";

/// gRPC to one Oracle.
#[derive(Debug)]
pub(super) struct Grpc {
    /// As configured: `grpc://HOST:PORT` or `grpcs://HOST:PORT`.
    url: String,
    client: OracleServiceClient<Client<HttpsConnector<Connector>, Body>>,
    answer_within: Duration,
}

impl Grpc {
    /// `None` for an address of HTTP. The address was checked.
    pub(super) fn at(url: &str, proxy: Option<&Proxy>) -> Result<Option<Self>, WrongUrl> {
        let (authority, has_tls) = match (url.strip_prefix("grpc://"), url.strip_prefix("grpcs://")) {
            (Some(authority), _) => (authority, false),
            (_, Some(authority)) => (authority, true),
            _ => return Ok(None),
        };
        let scheme = if has_tls { "https" } else { "http" };
        let origin: Uri = format!("{scheme}://{authority}")
            .parse()
            .map_err(|_| WrongUrl("not a URL"))?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(client_tls(has_tls)?)
            .https_or_http()
            .enable_http2()
            .wrap_connector(Connector::new(CONNECT_WITHIN, proxy.cloned()));
        let client = Client::builder(TokioExecutor::new())
            .http2_only(true)
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .build(connector);
        Ok(Some(Self {
            url: url.to_owned(),
            client: OracleServiceClient::with_origin(client, origin).max_decoding_message_size(LARGEST_ANSWER),
            answer_within: answer_within(proxy),
        }))
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) async fn info(&self) -> Result<BlindbitInfo, NoAnswer> {
        let info = self
            .ask(INFO, || {
                let (mut client, request) = (self.client.clone(), self.request(()));
                async move { client.get_info(request).await }
            })
            .await
            .map_err(no_oracle)?
            .into_inner();
        Ok(BlindbitInfo {
            network: info.network,
            height: u32::try_from(info.height)
                .map_err(|_| malformed(INFO, format!("no block has the height {}", info.height)))?,
            tweaks_only: info.tweaks_only,
            tweaks_full_basic: info.tweaks_full_basic,
            tweaks_full_with_dust_filter: info.tweaks_full_with_dust_filter,
            tweaks_cut_through_with_dust_filter: info.tweaks_cut_through_with_dust_filter,
        })
    }

    /// Checks that it has the call for blocks.
    pub(super) async fn check(&self, info: &BlindbitInfo) -> Result<(), NoAnswer> {
        has(self.compute_index(info.height).await).map_err(no_oracle).map(drop)
    }

    /// Its answer for this block; `None` if it has no block at this height, or another one.
    pub(super) async fn block(&self, at: BlockRef) -> Result<Option<OracleBlock>, NoAnswer> {
        let answer = has(self.compute_index(at.height).await)?.flatten();
        let Some((block, items)) = answer else {
            return Ok(None);
        };
        let is_it = block.is_some_and(|block| {
            block.block_height == u64::from(at.height) && hash(&block.block_hash) == Some(at.hash)
        });
        if !is_it {
            return Ok(None);
        }
        let named = items.iter().map(|item| {
            let txid = display(&item.txid).map(Txid::from_byte_array);
            Ok(Named {
                txid: txid.ok_or_else(|| malformed(BLOCK, format!("a txid of {} bytes", item.txid.len())))?,
                tweak: <[u8; 33]>::try_from(item.tweak.as_slice())
                    .map_err(|_| malformed(BLOCK, format!("a tweak of {} bytes", item.tweak.len())))?,
            })
        });
        Ok(Some(OracleBlock::Named(named.collect::<Result<_, _>>()?)))
    }

    /// Whether it has this block, eligible transactions or not.
    pub(super) async fn has_block(&self, at: BlockRef) -> Result<bool, NoAnswer> {
        let request = BlockHeightRequest {
            block_height: at.height.into(),
        };
        let answer = self.ask(HASH, || {
            let (mut client, request) = (self.client.clone(), self.request(request));
            async move { client.get_block_hash_by_height(request).await }
        });
        let found = has(answer.await)?;
        Ok(found.is_some_and(|found| hash(&found.get_ref().block_hash) == Some(at.hash)))
    }

    /// The first block of a stream of one.
    async fn compute_index(
        &self,
        height: u32,
    ) -> Result<Option<(Option<BlockIdentifier>, Vec<ComputeIndexTxItem>)>, NoAnswer> {
        let range = RangedBlockHeightRequestFiltered {
            start: height.into(),
            end: height.into(),
            dustlimit: 0,
            cut_through: false,
        };
        self.ask(BLOCK, || {
            let (mut client, request) = (self.client.clone(), self.request(range));
            async move {
                let mut blocks = client.stream_compute_index(request).await?.into_inner();
                let block = blocks.message().await?;
                Ok(block.map(|block| (block.block_identifier, block.index)))
            }
        })
        .await
    }

    /// With the time limit, so that the Oracle stops working on a request that is given up.
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.answer_within);
        request
    }

    /// Sends a request; retries after a pause if the Oracle has too many.
    async fn ask<T, F: Future<Output = Result<T, Status>>>(
        &self,
        call: &'static str,
        question: impl Fn() -> F,
    ) -> Result<T, NoAnswer> {
        for _ in 0..AGAIN {
            match self.ask_once(call, question()).await {
                Err(NoAnswer::Refused {
                    code: Code::ResourceExhausted,
                    ..
                }) => tokio::time::sleep(SOME_PAUSE).await,
                answer => return answer,
            }
        }
        self.ask_once(call, question()).await
    }

    async fn ask_once<T>(
        &self,
        call: &'static str,
        question: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, NoAnswer> {
        let limit = self.answer_within;
        let answer = tokio::time::timeout(limit, question).await;
        let answer = answer.map_err(|_| NoAnswer::Late {
            path: call.to_owned(),
            limit,
        })?;
        answer.map_err(|status| match status.source() {
            Some(cause) => NoAnswer::Unreachable(not_sent(cause)),
            None => NoAnswer::Refused {
                call,
                code: status.code(),
                message: reason(status.message()),
            },
        })
    }
}

/// Maps a status that an Oracle has for a block that it lacks to `None`: BlindBit's own has `UNKNOWN`, a relay
/// `NOT_FOUND`, or `UNAVAILABLE` while its index is being built.
fn has<T>(answer: Result<T, NoAnswer>) -> Result<Option<T>, NoAnswer> {
    match answer {
        Ok(theirs) => Ok(Some(theirs)),
        Err(NoAnswer::Refused {
            code: Code::NotFound | Code::Unknown | Code::Unavailable | Code::Aborted,
            ..
        }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn no_oracle(error: NoAnswer) -> NoAnswer {
    match error {
        NoAnswer::Refused {
            code: Code::Unimplemented,
            ..
        } => NoAnswer::NoGrpcOracle,
        other => other,
    }
}

fn hash(bytes: &[u8]) -> Option<BlockHash> {
    display(bytes).map(BlockHash::from_byte_array)
}

/// 32 bytes in display order, as serialised.
fn display(bytes: &[u8]) -> Option<[u8; 32]> {
    let mut bytes = <[u8; 32]>::try_from(bytes).ok()?;
    bytes.reverse();
    Some(bytes)
}

fn malformed(call: &str, reason: String) -> NoAnswer {
    NoAnswer::Malformed {
        path: call.to_owned(),
        reason,
    }
}
