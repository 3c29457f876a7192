//! Large answers of BlindBit routes wait for memory, while those of other routes are refused
//! ([`unread`](sdk_relay_http_common::unread)): a scanning wallet requests several hundred blocks at once, and stops at
//! a 503.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use hyper::header::{ACCEPT_ENCODING, HeaderMap};
use hyper::{Method, StatusCode};
use sdk_relay_http_common::unread::{REASON, held, held_by, later};
use sdk_relay_transport::{AnswerBudget, ClientAddress};

use crate::answer::Refusal;
use crate::state::Handles;

/// Memory of an encoder of gzip: about 300 KiB of tables and window, and buffered output.
const ENCODER: usize = 384 << 10;

/// An answer that does not fit is dropped, and created again once memory is available.
pub(crate) async fn in_turn(
    State(handles): State<Arc<Handles>>,
    Extension(client): Extension<ClientAddress>,
    request: Request,
    next: Next,
) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        // Their answers are small.
        return next.run(request).await;
    }
    let encoder = if takes_gzip(request.headers()) { ENCODER } else { 0 };
    let (parts, body) = request.into_parts();
    let again = Request::from_parts(parts.clone(), Body::empty());
    let answer = next.clone().run(Request::from_parts(parts, body)).await;
    waiting(
        &handles.answers,
        client.ip(),
        encoder,
        answer,
        handles.timeouts.memory,
        || next.run(again),
    )
    .await
}

async fn waiting<F: Future<Output = Response>>(
    budget: &AnswerBudget,
    client: IpAddr,
    encoder: usize,
    answer: Response,
    within: Duration,
    again: impl FnOnce() -> F,
) -> Response {
    let bytes = match held(budget, client, encoder, answer).await {
        Ok(answer) => return answer,
        Err(bytes) => bytes,
    };
    match tokio::time::timeout(within, budget.wait(client, bytes)).await {
        // It has the same size, unless the chain has changed meanwhile.
        Ok(Some(share)) => held_by(|_| Some(share), encoder, again().await)
            .await
            .unwrap_or_else(|_| refused()),
        Ok(None) | Err(_) => refused(),
    }
}

/// Whether the answer may be compressed. If it is not, its share is larger than necessary.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let mut given = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    given.any(|list| list.to_ascii_lowercase().contains("gzip") || list.contains('*'))
}

fn refused() -> Response {
    later(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, REASON))
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use tokio::time::Instant;

    use super::*;

    const WAITS: Duration = Duration::from_secs(20);
    const FAR: [u8; 4] = [192, 0, 2, 7];

    fn large() -> Response {
        vec![7_u8; 1 << 20].into_response()
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_and_its_answer_is_created_again() {
        let budget = AnswerBudget::default();
        let mut kept = Vec::new();
        while let Ok(answer) = held(&budget, FAR.into(), 0, large()).await {
            kept.push(answer);
        }
        let began = Instant::now();
        let refused = waiting(&budget, FAR.into(), 0, large(), WAITS, || async {
            panic!("it does not fit")
        })
        .await;
        assert_eq!((refused.status().as_u16(), began.elapsed()), (503, WAITS));
        assert_eq!(refused.headers()["retry-after"], "1");
        let (answer, ()) = tokio::join!(
            waiting(&budget, FAR.into(), 0, large(), WAITS, || async { large() }),
            async {
                tokio::time::sleep(WAITS / 2).await;
                kept.pop();
            }
        );
        assert_eq!(answer.status(), 200);
        assert!(held(&budget, FAR.into(), 0, large()).await.is_err(), "it has the share");
    }
}
