//! A proxy of an Oracle that can change its answers.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use hyper::StatusCode;
use serde_json::Value;
use testkit::http_get;
use tokio::net::TcpListener;

/// Its answer.
pub(crate) enum Answer {
    Json(Value),
    Status(u16),
    /// 429, with so many seconds in `Retry-After`.
    Busy(u64),
    /// An endless body.
    Endless,
}

/// Serves altered answers of `truth` at the returned address. Ends with the test.
pub(crate) async fn proxy(
    truth: &str,
    alter: impl Fn(&str, Value) -> Answer + Clone + Send + Sync + 'static,
) -> String {
    let truth = truth.to_owned();
    let serve = move |request: Request| {
        let (truth, alter) = (truth.clone(), alter.clone());
        async move {
            let path = request.uri().path();
            let received = http_get(&format!("{truth}{path}")).await;
            if received.status != StatusCode::OK {
                return received.status.into_response();
            }
            respond(alter(path, received.json()))
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(serve)).await });
    url
}

fn respond(answer: Answer) -> Response {
    match answer {
        Answer::Json(value) => axum::Json(value).into_response(),
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::Busy(seconds) => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", seconds.to_string())]).into_response()
        }
        Answer::Endless => {
            let piece = Bytes::from(vec![b' '; 1 << 16]);
            Body::from_stream(stream::repeat_with(move || Ok::<_, Infallible>(piece.clone()))).into_response()
        }
    }
}
