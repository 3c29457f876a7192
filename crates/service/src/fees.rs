//! Fee rates of the node, asked for once for all clients.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_chain::{ChainSource, FeeRates, SourceError};
use sdk_relay_protocol::http::{FeeEstimate, Fees};
use sdk_relay_telemetry::clock::unix_now;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The numbers of blocks that wallets ask for; the node estimates up to 1,008.
pub const TARGETS: [u16; 8] = [1, 2, 3, 4, 5, 10, 25, 50];
/// Age up to which an answer is used again. Estimates of a node change with its blocks, the minimum of the mempool
/// slowly.
const FRESH: Duration = Duration::from_secs(10);
/// Age up to which an error is used again: those who waited for the same answer need not ask a node that hangs.
const FRESH_ERROR: Duration = Duration::from_secs(1);

type Answer = Result<Arc<Fees>, SourceError>;

/// The fee rates of a source.
pub struct FeeSource {
    chain: Arc<dyn ChainSource>,
    /// Held while the node is asked, so that one request serves all who wait.
    newest: Mutex<Option<(Instant, Answer)>>,
}

impl FeeSource {
    /// The fee rates of this source. Does no I/O.
    pub fn new(chain: Arc<dyn ChainSource>) -> Self {
        Self {
            chain,
            newest: Mutex::default(),
        }
    }

    /// The fee rates, at most 10 s old.
    ///
    /// # Errors
    /// The node is unavailable.
    pub async fn fees(&self) -> Answer {
        let mut newest = self.newest.lock().await;
        if let Some((at, answer)) = &*newest
            && at.elapsed() < if answer.is_ok() { FRESH } else { FRESH_ERROR }
        {
            return answer.clone();
        }
        let answer = self
            .chain
            .fee_rates(&TARGETS)
            .await
            .map(|rates| Arc::new(shown(&rates)));
        *newest = Some((Instant::now(), answer.clone()));
        answer
    }
}

fn shown(rates: &FeeRates) -> Fees {
    Fees {
        estimates: rates
            .estimates
            .iter()
            .map(|(blocks, rate)| FeeEstimate {
                blocks: *blocks,
                sat_per_vbyte: rate.map(per_vbyte),
            })
            .collect(),
        mempool_minimum: per_vbyte(rates.mempool_minimum),
        relay_minimum: per_vbyte(rates.relay_minimum),
        timestamp: unix_now(),
    }
}

/// Up to 2^53 the nearest decimal of the quotient has at most three places.
fn per_vbyte(sat_per_kvb: u64) -> f64 {
    sat_per_kvb as f64 / 1000.0
}

#[cfg(test)]
mod tests;
