//! The body of an answer: its bytes have a share of the memory for unread answers, it ends at the deadline of the call,
//! and its status is counted.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::Response;
use hyper::body::{Body as HttpBody, Frame};
use sdk_relay_http_common::unread::REASON;
use sdk_relay_transport::{AddressPermit, AnswerBudget, AnswerShare};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tonic::{Code, Status};

use super::deadline::exceeded;
use super::metrics::Counted;

/// Frames up to this size need no share. One on each of the 8,192 requests of all connections is 32 MiB.
const SMALL: usize = 4 << 10;

/// What an answer is bound by.
pub(super) struct Parts {
    pub(super) client: IpAddr,
    pub(super) budget: Arc<AnswerBudget>,
    /// How long a frame waits for memory.
    pub(super) within: Duration,
    pub(super) deadline: Instant,
    /// Kept until the answer ends.
    pub(super) permit: Arc<AddressPermit>,
}

/// The body.
pub(super) struct Answer {
    body: Body,
    counted: Counted,
    deadline: Pin<Box<Sleep>>,
    client: IpAddr,
    budget: Arc<AnswerBudget>,
    within: Duration,
    _permit: Arc<AddressPermit>,
    /// A frame that waits for its share.
    waiting: Option<(Bytes, Share)>,
    has_ended: bool,
}

/// `None`: there was none in time.
type Share = Pin<Box<dyn Future<Output = Option<AnswerShare>> + Send>>;

impl Answer {
    pub(super) fn of(response: Response<Body>, counted: Counted, parts: Parts) -> Response<Body> {
        // A refusal: its status is in the headers.
        if response.body().is_end_stream() {
            return response;
        }
        response.map(|body| {
            Body::new(Self {
                body,
                counted,
                deadline: Box::pin(sleep_until(parts.deadline)),
                client: parts.client,
                budget: parts.budget,
                within: parts.within,
                _permit: parts.permit,
                waiting: None,
                has_ended: false,
            })
        })
    }

    /// Ends the answer with a status.
    fn end(&mut self, status: &Status) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.has_ended = true;
        self.counted.ended(status.code());
        // Stops the work.
        self.body = Body::empty();
        let mut trailers = hyper::HeaderMap::new();
        match status.add_header(&mut trailers) {
            Ok(()) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Err(error) => Poll::Ready(Some(Err(axum::Error::new(error)))),
        }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        if this.has_ended {
            return Poll::Ready(None);
        }
        if this.deadline.as_mut().poll(cx).is_ready() {
            this.waiting = None;
            return this.end(&exceeded());
        }
        if this.waiting.is_none() {
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            if let Some(trailers) = frame.trailers_ref() {
                this.has_ended = true;
                let status = Status::from_header_map(trailers);
                this.counted.ended(status.map_or(Code::Unknown, |status| status.code()));
            }
            let bytes = match frame.into_data() {
                Ok(bytes) if bytes.len() > SMALL => bytes,
                Ok(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            };
            let (budget, client, size, within) = (Arc::clone(&this.budget), this.client, bytes.len(), this.within);
            let share = async move { timeout(within, budget.wait(client, size)).await.ok().flatten() };
            this.waiting = Some((bytes, Box::pin(share)));
        }
        let Some((bytes, share)) = &mut this.waiting else {
            return Poll::Ready(None);
        };
        match ready!(share.as_mut().poll(cx)) {
            Some(share) => {
                let bytes = Arc::new(share).hold(std::mem::take(bytes));
                this.waiting = None;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            None => {
                this.waiting = None;
                this.end(&Status::resource_exhausted(REASON))
            }
        }
    }
}
