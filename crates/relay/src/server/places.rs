//! Places for HTTP connections. When all are taken, the connection that has been without a request for longest makes way for a new one:
//! connections that send nothing, or a byte now and then, keep nobody out.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// In place of a moment while a request is under way.
const BUSY: u64 = 0;
/// For so long a connection keeps its place without a request. When a thousand come at once, this lets each of them say what it wants; the
/// newcomers wait meanwhile.
const GRACE: Duration = Duration::from_millis(250);

/// A bounded number of places.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    began: Instant,
    next: AtomicU64,
    taken: Mutex<HashMap<u64, Arc<Tenant>>>,
}

/// The connection on a place.
#[derive(Debug)]
pub(super) struct Tenant {
    /// Since when it has no request, in nanoseconds of [`Places`]; [`BUSY`] while it has one.
    idle_since: AtomicU64,
    cut: CancellationToken,
}

/// A place; dropping it frees it.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    tenant: Arc<Tenant>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(most)),
            began: Instant::now(),
            next: AtomicU64::new(0),
            taken: Mutex::default(),
        })
    }

    /// A place, as soon as there is one: after a moment, unless every connection has a request under way. `None` never comes from a place that
    /// is merely taken.
    pub(super) async fn take(self: &Arc<Self>) -> Option<Place> {
        let permit = loop {
            let free = Arc::clone(&self.free);
            if let Ok(permit) = Arc::clone(&free).try_acquire_owned() {
                break permit;
            }
            let look_again = self.cut_longest_idle();
            if let Ok(permit) = timeout(look_again, free.acquire_owned()).await {
                break permit.ok()?;
            }
        };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let tenant = Arc::new(Tenant {
            idle_since: AtomicU64::new(self.moment()),
            cut: CancellationToken::new(),
        });
        self.lock().insert(number, Arc::clone(&tenant));
        Some(Place {
            places: Arc::clone(self),
            number,
            tenant,
            _permit: permit,
        })
    }

    /// Cuts the connection that has been idle for longest, where that is long enough; says when to look again.
    fn cut_longest_idle(&self) -> Duration {
        let now = self.moment();
        let taken = self.lock();
        let idle = taken
            .values()
            .map(|tenant| (tenant.idle_since.load(Ordering::Relaxed), tenant));
        let longest = idle
            .filter(|(since, tenant)| *since != BUSY && !tenant.cut.is_cancelled())
            .min_by_key(|(since, _)| *since);
        let Some((since, tenant)) = longest else {
            return GRACE;
        };
        let left = GRACE.saturating_sub(Duration::from_nanos(now.saturating_sub(since)));
        if left.is_zero() {
            tenant.cut.cancel();
            return GRACE;
        }
        left
    }

    /// Nanoseconds since the beginning, never [`BUSY`].
    fn moment(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .max(BUSY + 1)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Tenant>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until the connection must make way.
    pub(super) async fn wanted(&self) {
        self.tenant.cut.cancelled().await;
    }

    /// Marks a request, until the answer's body is through.
    pub(super) fn request(&self) -> Busy {
        self.tenant.idle_since.store(BUSY, Ordering::Relaxed);
        Busy {
            places: Arc::clone(&self.places),
            tenant: Arc::clone(&self.tenant),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().remove(&self.number);
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Busy {
    places: Arc<Places>,
    tenant: Arc<Tenant>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.tenant.idle_since.store(self.places.moment(), Ordering::Relaxed);
    }
}

/// A body that keeps its request under way for as long as it is being sent.
#[derive(Debug)]
pub(super) struct Held<B> {
    pub(super) body: B,
    pub(super) _busy: Busy,
}

impl<B: Body + Unpin> Body for Held<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn wanted(place: &Place) -> bool {
        place.tenant.cut.is_cancelled()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_makes_way_and_a_busy_one_does_not() {
        let places = Places::new(3);
        let [first, second, third] = [
            places.take().await.unwrap(),
            places.take().await.unwrap(),
            places.take().await.unwrap(),
        ];
        let busy = first.request();
        tokio::time::advance(Duration::from_millis(10)).await;
        drop(second.request());
        // The first is busy, the second was so later than the third.
        let newcomer = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take().await }
        });
        let came = Instant::now();
        timeout(Duration::from_secs(1), third.wanted()).await.unwrap();
        assert!(came.elapsed() >= GRACE - Duration::from_millis(10), "it had its time");
        assert!(!wanted(&first) && !wanted(&second) && !newcomer.is_finished());
        drop(third);
        let newcomer = newcomer.await.unwrap().unwrap();
        assert!(!wanted(&newcomer));

        let all_busy = [busy, second.request(), newcomer.request()];
        let mut next = std::pin::pin!(places.take());
        let full = timeout(Duration::from_secs(1), next.as_mut()).await;
        assert!(full.is_err(), "all are busy");
        assert!(!wanted(&first) && !wanted(&second) && !wanted(&newcomer));
        // One that was busy when the newcomer came makes way as well, once it is idle.
        let [busy, ..] = all_busy;
        drop(busy);
        let makes_way = async {
            first.wanted().await;
            drop(first);
        };
        let (place, ()) = tokio::join!(timeout(Duration::from_secs(1), next), makes_way);
        assert!(place.unwrap().is_some());
    }
}
