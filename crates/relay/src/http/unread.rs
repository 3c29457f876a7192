//! Large answers have a share of the memory for what clients have not read ([`AnswerBudget`]). What has none is not sent: its bytes are
//! dropped at once.

use std::net::IpAddr;

use axum::body::{HttpBody, to_bytes};
use axum::response::{IntoResponse, Response};
use hyper::header::{HeaderValue, RETRY_AFTER};
use sdk_relay_transport::{AnswerBudget, AnswerShare, SMALL_ANSWER};

use super::problem::ApiError;

/// Seconds in `Retry-After`.
const AGAIN_AFTER: u16 = 1;
/// Why an answer is not sent.
pub(super) const REASON: &str = "too many bytes of answers are not read yet, of this address or of all clients: read those first, or try again later";

/// The answer, with its share where it is large; else 503.
pub(super) async fn within(budget: &AnswerBudget, client: IpAddr, response: Response) -> Response {
    match held(budget, client, response).await {
        Ok(response) => response,
        Err(_) => later(ApiError::unavailable(REASON)),
    }
}

/// The refusal, with the word that it is for a moment.
pub(super) fn later(refusal: impl IntoResponse) -> Response {
    let mut response = refusal.into_response();
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(AGAIN_AFTER));
    response
}

/// The answer with its share, or the size of what does not fit.
pub(super) async fn held(budget: &AnswerBudget, client: IpAddr, response: Response) -> Result<Response, usize> {
    held_by(|bytes| budget.share(client, bytes), response).await
}

/// The same, where the share comes from elsewhere.
pub(super) async fn held_by(
    share: impl FnOnce(usize) -> Option<AnswerShare>,
    response: Response,
) -> Result<Response, usize> {
    // Streams have bounds of their own.
    if response
        .body()
        .size_hint()
        .exact()
        .is_none_or(|size| size <= SMALL_ANSWER)
    {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        tracing::error!("the body of an answer ends early: please report this bug");
        return Ok(ApiError::internal().into_response());
    };
    // Documents that all clients share take no memory, and bytes that have a share need no second one.
    if !bytes.is_unique() {
        return Ok(Response::from_parts(parts, bytes.into()));
    }
    let share = share(bytes.len()).ok_or(bytes.len())?;
    Ok(Response::from_parts(parts, share.hold(bytes).into()))
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;

    use super::*;

    const FAR: [u8; 4] = [192, 0, 2, 7];
    const LARGE: usize = 1 << 20;

    fn large() -> Response {
        vec![7_u8; LARGE].into_response()
    }

    async fn many(budget: &AnswerBudget) -> Vec<Response> {
        let mut kept = Vec::new();
        loop {
            match held(budget, FAR.into(), large()).await {
                Ok(response) => kept.push(response),
                Err(bytes) => {
                    assert_eq!(bytes, LARGE);
                    return kept;
                }
            }
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_is_a_503_and_small_and_shared_answers_are_not_counted() {
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
}
