//! Large answers need a share of the budget of unread answers ([`AnswerBudget`]). Without one, the answer is dropped
//! immediately.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, HttpBody, to_bytes};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::header::{HeaderValue, RETRY_AFTER};
use sdk_relay_transport::{AnswerBudget, AnswerShare, SMALL_ANSWER};

use crate::problem::ApiError;

/// Value of `Retry-After`, in seconds.
const RETRY_AFTER_SECONDS: u16 = 1;
/// Why an answer is not sent.
pub const REASON: &str = "too many bytes of answers are not read yet, of this address or of all clients: read those first, or try again later";

/// The answer, with a share if it is large; 503 if there is none.
pub async fn within(budget: &AnswerBudget, client: IpAddr, response: Response) -> Response {
    match held(budget, client, 0, response).await {
        Ok(response) => compressed(response),
        Err(_) => later(ApiError::unavailable(REASON)),
    }
}

/// A compressed answer keeps its share, and that of its encoder, until it ends.
fn compressed(mut response: Response) -> Response {
    let share = response.extensions_mut().remove::<Arc<AnswerShare>>();
    let Some(share) = share.filter(|_| response.body().size_hint().exact().is_none()) else {
        return response;
    };
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _kept = &share;
            frame
        }))
    })
}

/// The refusal, with `Retry-After`.
pub fn later(refusal: impl IntoResponse) -> Response {
    let mut response = refusal.into_response();
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
    response
}

/// The answer with its share, or the size that does not fit. `encoder` is the memory of its compression: an answer with
/// an `Arc<AnswerShare>` among its extensions has a share for that too, and no other may be compressed.
pub async fn held(
    budget: &AnswerBudget,
    client: IpAddr,
    encoder: usize,
    response: Response,
) -> Result<Response, usize> {
    held_by(|bytes| budget.share(client, bytes), encoder, response).await
}

/// The same, with another source of the share.
pub async fn held_by(
    share: impl FnOnce(usize) -> Option<AnswerShare>,
    encoder: usize,
    mut response: Response,
) -> Result<Response, usize> {
    // Streams have bounds of their own.
    let Some(size) = response.body().size_hint().exact() else {
        return Ok(response);
    };
    if size <= SMALL_ANSWER {
        // It is sent in any case: uncompressed, if there is no memory for an encoder.
        if encoder > 0
            && let Some(share) = share(encoder)
        {
            response.extensions_mut().insert(Arc::new(share));
        }
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        tracing::error!("the body of an answer ends early: please report this bug");
        return Ok(ApiError::internal().into_response());
    };
    // Documents shared by all clients take no memory, and bytes with a share need no second one.
    if !bytes.is_unique() {
        return Ok(Response::from_parts(parts, bytes.into()));
    }
    let whole = bytes.len().saturating_add(encoder);
    let share = Arc::new(share(whole).ok_or(whole)?);
    if encoder > 0 {
        parts.extensions.insert(Arc::clone(&share));
    }
    Ok(Response::from_parts(parts, share.hold(bytes).into()))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Bytes;
    use futures_util::stream::pending;

    use super::*;

    const FAR: [u8; 4] = [192, 0, 2, 7];
    const LARGE: usize = 1 << 20;

    fn large() -> Response {
        vec![7_u8; LARGE].into_response()
    }

    async fn many(budget: &AnswerBudget) -> Vec<Response> {
        let mut kept = Vec::new();
        loop {
            match held(budget, FAR.into(), 0, large()).await {
                Ok(response) => kept.push(response),
                Err(bytes) => {
                    assert_eq!(bytes, LARGE);
                    return kept;
                }
            }
        }
    }

    #[tokio::test]
    async fn an_answer_over_budget_is_a_503_and_small_and_shared_ones_are_not_counted() {
        let budget = AnswerBudget::default();
        let kept = many(&budget).await;
        assert_eq!(kept.len(), 16);
        assert!(kept.iter().all(|r| r.body().size_hint().exact() == Some(LARGE as u64)));
        let refused = within(&budget, FAR.into(), large()).await;
        assert_eq!(refused.status(), 503);
        assert_eq!(refused.headers()["retry-after"], "1");
        assert_eq!(refused.headers()["content-type"], "application/problem+json");
        assert_eq!(
            within(&budget, [192, 0, 2, 8].into(), large()).await.status(),
            200,
            "another address"
        );
        let document = Bytes::from(vec![7; LARGE]);
        for other in [
            vec![7_u8; 64 << 10].into_response(),
            document.clone().into_response(),
            Bytes::from_static(&[7; 100 << 10]).into_response(),
        ] {
            assert_eq!(within(&budget, FAR.into(), other).await.status(), 200);
        }
        drop(kept);
        let sent = within(&budget, FAR.into(), large()).await;
        assert_eq!(sent.status(), 200);
        let twice = within(&budget, FAR.into(), sent).await;
        assert_eq!(many(&budget).await.len(), 15, "it is counted once");
        assert_eq!(to_bytes(twice.into_body(), LARGE).await.unwrap(), vec![7; LARGE]);
        assert_eq!(many(&budget).await.len(), 16);
    }

    #[tokio::test]
    async fn an_encoder_has_a_share_until_what_it_compresses_ends() {
        let budget = AnswerBudget::default();
        let has_share = |response: &Response| response.extensions().get::<Arc<AnswerShare>>().is_some();
        for body in [vec![7_u8; 100], vec![7; LARGE]] {
            let answer = held(&budget, FAR.into(), LARGE, body.into_response()).await.unwrap();
            assert!(has_share(&answer));
            // Like the compression layer: the bytes are dropped before the encoder.
            let compressing = answer.map(|_| Body::from_stream(pending::<Result<Bytes, Infallible>>()));
            let sent = within(&budget, FAR.into(), compressing).await;
            assert!(many(&budget).await.len() < 16);
            drop(sent);
            assert_eq!(many(&budget).await.len(), 16);
        }
        let kept = many(&budget).await;
        let plain = held(&budget, FAR.into(), LARGE, "small".into_response()).await.unwrap();
        assert!(!has_share(&plain), "it is not compressed");
        drop(kept);
    }
}
