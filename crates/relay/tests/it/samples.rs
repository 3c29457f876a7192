//! Every JSON sample of the API reference, and every example of `docs/API.md`, against a relay on a real node: their
//! requests are sent, and each answer has all fields of its sample, with the same names, nesting, types and order.
//!
//! The reference is named by `API_REFERENCE`. An unknown or unused sample fails these tests.

mod docs;
mod document;
mod http;
mod page;
mod scene;
mod websocket;

use document::{Document, Side};
use scene::Scene;

#[tokio::test]
async fn every_sample_of_the_reference_matches_the_relay() {
    let Some(document) = Document::open() else { return };
    assert_eq!(document.count(Side::WebSocket), 17, "messages");
    assert_eq!(document.count(Side::Http), 15, "answers and bodies");
    let mut scene = Scene::new(&document).await;
    websocket::hold(&mut scene).await;
    http::hold(&mut scene).await;
    let rest = scene.unchecked();
    assert!(rest.is_empty(), "samples that nothing was held against: {rest:#?}");
}

/// The proof that the test above can fail: removing any field from a sample is detected.
#[test]
fn one_missing_field_is_noticed() {
    let Some(document) = Document::open() else { return };
    let mut fields = 0;
    for sample in document.samples() {
        let whole = crate::wire::json::Json::parse(&sample.text);
        assert_eq!(crate::wire::json::departures(&whole, &whole, &[]), Vec::<String>::new());
        for without in whole.each_without_one_field() {
            fields += 1;
            let found = crate::wire::json::departures(&whole, &without, &[]);
            assert!(
                found.iter().any(|f| f.ends_with("is missing")),
                "{}: {found:?}",
                sample.name
            );
        }
    }
    assert!(fields > 250, "{fields} fields");
}
