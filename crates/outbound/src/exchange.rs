//! One request and its answer, on a connection of its own.

use std::future::Future;
use std::pin::pin;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use sdk_relay_echo::causes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::answer::Answer;
use crate::failure::{Failure, Step};
use crate::timeouts::Timeouts;

/// Largest head of an answer, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// Largest number of its header fields.
const MAX_HEADERS: usize = 64;
/// Of a body, so much is read.
const MAX_BODY: usize = 16 << 10;

/// Sends the request, and reads the answer. The connection ends with it.
pub(crate) async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    timeouts: &Timeouts,
) -> Result<Answer, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |error: hyper::Error| Failure::Http(causes(&error));
    let handshake = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(failed)?;
    let work = async move {
        let response = match timeout(timeouts.head, sender.send_request(request)).await {
            Err(_) => {
                let (step, limit) = (Step::Head, timeouts.head);
                return Err(Failure::Late { step, limit });
            }
            Ok(response) => response.map_err(failed)?,
        };
        let (parts, body) = response.into_parts();
        let mut read = BytesMut::new();
        // The status is there: whatever becomes of the body, it counts.
        let is_whole = timeout(timeouts.body, read_body(body, &mut read))
            .await
            .unwrap_or(false);
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: read.freeze(),
            is_whole,
        })
    };
    driven(connection, work).await
}

/// The result of the work, while the connection moves its bytes. What the connection fails with fails the work too.
async fn driven<T>(connection: impl Future, work: impl Future<Output = T>) -> T {
    let (mut connection, mut work) = (pin!(connection), pin!(work));
    tokio::select! {
        biased;
        result = &mut work => result,
        _ = &mut connection => work.await,
    }
}

/// Whether the body has been read to its end.
async fn read_body(mut body: Incoming, read: &mut BytesMut) -> bool {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        let Some(data) = frame.data_ref() else { continue };
        let room = MAX_BODY - read.len();
        read.extend_from_slice(data.get(..room).unwrap_or(data));
        if data.len() > room {
            return false;
        }
    }
    true
}
