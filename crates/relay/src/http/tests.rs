use axum::body::Body;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;

async fn broken() {
    panic!("the key is 0123456789abcdef");
}

#[tokio::test]
async fn a_panic_is_a_500_and_nothing_more() {
    let router = Router::new()
        .route("/broken", get(broken))
        .route("/sound", get(|| async { "sound" }))
        .layer(CatchPanicLayer::custom(panicked));
    let ask = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head, String::from_utf8(body.to_vec()).unwrap())
    };
    let (head, body) = ask("/broken").await;
    assert_eq!(head.status, 500);
    assert_eq!(head.headers["content-type"], "application/problem+json");
    assert!(!body.contains("0123456789abcdef"), "{body}");
    let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(problem["status"], 500);
    let (head, body) = ask("/sound").await;
    assert_eq!((head.status.as_u16(), body.as_str()), (200, "sound"));
}
