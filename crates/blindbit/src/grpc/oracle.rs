//! The seven calls.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use sdk_relay_blindbit_proto::oracle_service_server::OracleService;
use sdk_relay_blindbit_proto::{
    BlockHashResponse, BlockHeightRequest, BlockHeightResponse, BlockScanDataShortResponse, ComputeIndexResponse,
    Encoded, FullBlockResponse, IndexResponse, InfoResponse, RangedBlockHeightRequestFiltered,
};
use sdk_relay_store::TweakIndex;
use sdk_relay_transport::AddressPermit;
use tonic::{Request, Response, Status};

use super::caller::Caller;
use super::messages;
use super::metrics::GrpcMetrics;
use super::refusal::height;
use super::stream::{Range, Walk, blocks};
use super::wire;
use crate::block::{hash_at, info, tip, with_spent};
use crate::rate_limit::RequestPacer;
use crate::state::Handles;

/// The calls.
pub(super) struct Calls {
    handles: Arc<Handles>,
    pacer: RequestPacer,
    metrics: GrpcMetrics,
}

type Answer<T> = Result<Response<T>, Status>;
type Blocks<T> = Pin<Box<dyn Stream<Item = Result<Encoded<T>, Status>> + Send>>;

impl Calls {
    pub(super) fn new(handles: Arc<Handles>, pacer: RequestPacer, metrics: GrpcMetrics) -> Self {
        Self {
            handles,
            pacer,
            metrics,
        }
    }

    fn walk(&self, request: Request<RangedBlockHeightRequestFiltered>) -> Result<(Walk, Range), Status> {
        let caller = caller(&request)?.clone();
        let range = Range::of(request.get_ref())?;
        let walk = Walk {
            handles: Arc::clone(&self.handles),
            pacer: self.pacer.clone(),
            metrics: self.metrics.clone(),
            caller,
        };
        Ok((walk, range))
    }
}

#[tonic::async_trait]
impl OracleService for Calls {
    async fn get_info(&self, _: Request<()>) -> Answer<InfoResponse> {
        let info = info(&self.handles).await?;
        Ok(Response::new(InfoResponse {
            network: info.network,
            height: info.height.into(),
            tweaks_only: info.tweaks_only,
            tweaks_full_basic: info.tweaks_full_basic,
            tweaks_full_with_dust_filter: info.tweaks_full_with_dust_filter,
            tweaks_cut_through_with_dust_filter: info.tweaks_cut_through_with_dust_filter,
        }))
    }

    async fn get_best_block_height(&self, _: Request<()>) -> Answer<BlockHeightResponse> {
        let block_height = tip(&self.handles).await?.height.into();
        Ok(Response::new(BlockHeightResponse { block_height }))
    }

    async fn get_block_hash_by_height(&self, request: Request<BlockHeightRequest>) -> Answer<BlockHashResponse> {
        let (_, hash) = hash_at(&self.handles, requested(&request)?).await?;
        let block_hash = messages::block_hash(hash);
        Ok(Response::new(BlockHashResponse { block_hash }))
    }

    type StreamBlockScanDataShortStream = Blocks<BlockScanDataShortResponse>;

    async fn stream_block_scan_data_short(
        &self,
        request: Request<RangedBlockHeightRequestFiltered>,
    ) -> Answer<Self::StreamBlockScanDataShortStream> {
        let (walk, range) = self.walk(request)?;
        let blocks = blocks(walk, range, TweakIndex::block_rows, wire::scan_data);
        Ok(Response::new(Box::pin(blocks)))
    }

    type StreamComputeIndexStream = Blocks<ComputeIndexResponse>;

    async fn stream_compute_index(
        &self,
        request: Request<RangedBlockHeightRequestFiltered>,
    ) -> Answer<Self::StreamComputeIndexStream> {
        let (walk, range) = self.walk(request)?;
        let blocks = blocks(walk, range, TweakIndex::transaction_rows, wire::compute_index);
        Ok(Response::new(Box::pin(blocks)))
    }

    async fn get_full_block(&self, request: Request<BlockHeightRequest>) -> Answer<FullBlockResponse> {
        let permit = permit(&request)?;
        let read = with_spent(&self.handles, requested(&request)?, move |found| {
            let _until_it_is_read = permit;
            Ok((found.freshness(), messages::full_block(found)))
        });
        let (_, block) = read.await?;
        Ok(Response::new(block))
    }

    async fn get_spent_outputs_short(&self, request: Request<BlockHeightRequest>) -> Answer<IndexResponse> {
        let permit = permit(&request)?;
        let read = with_spent(&self.handles, requested(&request)?, move |found| {
            let _until_it_is_read = permit;
            Ok((found.freshness(), messages::spent_outputs(found)))
        });
        let (_, spent) = read.await?;
        Ok(Response::new(spent))
    }
}

fn caller<T>(request: &Request<T>) -> Result<&Caller, Status> {
    request.extensions().get().ok_or_else(|| {
        tracing::error!("a call has no client address: please report this bug");
        Status::internal("internal error; the log of the relay has the details")
    })
}

/// The permit of a call, for the work of it that goes on when the call is cancelled.
fn permit<T>(request: &Request<T>) -> Result<Arc<AddressPermit>, Status> {
    caller(request).map(|caller| Arc::clone(&caller.permit))
}

fn requested(request: &Request<BlockHeightRequest>) -> Result<u32, Status> {
    height("block_height", request.get_ref().block_height)
}
