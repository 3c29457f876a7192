//! Formats, errors, caching, compression, and an unavailable node.

use std::io::Read;

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Amount, Txid};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use testkit::{HttpReply, InputKind, Options, Payee, RelayOptions, RelayProcess, http_get, http_post, http_send};

use crate::blindbit::scene::{Scene, json as get, ok};

async fn with(url: &str, header: &str, value: &str) -> HttpReply {
    let request = Request::get(url).header(header, value);
    http_send(request.body(Full::<Bytes>::default()).unwrap()).await
}

fn problem(reply: &HttpReply, status: u16) -> String {
    assert_eq!(reply.status.as_u16(), status, "{}", reply.text());
    assert_eq!(reply.headers["content-type"], "application/problem+json");
    let received = reply.json();
    assert_eq!(
        (&received["status"], &received["success"]),
        (&json!(status), &json!(false))
    );
    assert_eq!(
        (&received["error"], &received["data"]["error"]),
        (&received["detail"], &received["detail"])
    );
    received["error"].as_str().unwrap().to_owned()
}

fn keys(value: &Value) -> Vec<&String> {
    value.as_object().unwrap().keys().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_have_the_format_of_blindbit_and_caching_headers() {
    let mut scene = Scene::new().await;
    let payee = Payee::new(&[]);
    let tx = scene
        .payer
        .pay(&[InputKind::P2tr], &[(payee.address(), Amount::from_sat(50_000))]);
    // By the route of version 1, as JSON; spdk reads a txid from the answer.
    let forward = format!("{}/forward-tx", scene.v1());
    let sent = http_post(&forward, &json!({"data": serialize_hex(&tx)})).await;
    assert_eq!(sent.status, 200);
    assert_eq!(serde_json::from_value::<Txid>(sent.json()).unwrap(), tx.compute_txid());
    assert_eq!(scene.node.mempool().await, [tx.compute_txid()]);
    let height = scene.mine().await;
    let hash = scene.node.hash_at(height).await.to_string();

    let info = json!({
        "network": "regtest", "height": height, "tweaks_only": false, "tweaks_full_basic": true,
        "tweaks_full_with_dust_filter": true, "tweaks_cut_through_with_dust_filter": true,
    });
    for version in [scene.v1(), scene.v2()] {
        assert_eq!(get(&format!("{version}/info")).await.to_string(), info.to_string());
    }
    let v1 = async |route: &str| get(&format!("{}/{route}", scene.v1())).await;
    assert_eq!(v1("block-height").await, json!({"block_height": height}));
    assert_eq!(v1(&format!("block-hash/{height}")).await, json!({"block_hash": hash}));
    let tweaks = v1(&format!("tweak-index/{height}")).await;
    let utxos = v1(&format!("utxos/{height}")).await;
    let first = utxos[0].clone();
    assert_eq!(
        keys(&first),
        [
            "txid",
            "vout",
            "value",
            "scriptpubkey",
            "block_height",
            "block_hash",
            "timestamp",
            "spent"
        ]
    );
    assert_eq!((&first["value"], &first["block_hash"]), (&json!(50_000), &json!(hash)));
    let v2 = async |route: &str| get(&format!("{}/{route}/{height}", scene.v2())).await;
    let block = json!({"block_hash": hash, "block_height": height});
    let key = first["scriptpubkey"]
        .as_str()
        .unwrap()
        .strip_prefix("5120")
        .unwrap()
        .to_owned();
    let txid = tx.compute_txid().to_string();
    assert_eq!(v2("tweaks").await, json!({"block_identifier": block, "index": tweaks}));
    assert_eq!(
        v2("utxos").await,
        json!({"block_identifier": block, "index": [{"txid": txid, "vout": first["vout"], "amount": 50_000, "pubkey": key}]})
    );
    assert_eq!(
        v2("compute-index").await,
        json!({"block_identifier": block, "index": [{"txid": txid, "tweak": tweaks[0], "outputs": [key[..16]]}]})
    );
    let input = tx.input[0].previous_output;
    assert_eq!(
        v2("full-block").await,
        json!({"block_identifier": block, "index": [{
            "txid": txid, "tweak": tweaks[0], "inputs": [format!("{}{:08x}", input.txid, input.vout)],
            "utxos": [{"vout": first["vout"], "amount": 50_000, "pubkey": key}],
        }]})
    );
    let spent = scene.node.txout(input).await;
    assert!(spent.is_none(), "a block has spent it");
    assert_eq!(v2("spent-outputs").await["index"].as_array().unwrap().len(), 1);

    // For a recent block: revalidate with the ETag.
    let young = ok(&format!("{}/tweak-index/{height}", scene.v1())).await;
    assert_eq!(young.headers["cache-control"], "public, no-cache");
    let tag = young.headers["etag"].to_str().unwrap();
    let cached = with(&format!("{}/tweak-index/{height}", scene.v1()), "if-none-match", tag).await;
    assert_eq!((cached.status.as_u16(), cached.body.len()), (304, 0));
    let other = with(
        &format!("{}/tweak-index/{height}", scene.v1()),
        "if-none-match",
        "\"x\"",
    )
    .await;
    assert_eq!(other.status, 200);
    // For a deeply confirmed one: cacheable for ever, except data that later blocks change.
    let deep = height - 100;
    for route in [
        "tweak-index",
        "block-hash",
        "filter/new-utxos",
        "filter/spent",
        "spent-index",
    ] {
        let reply = ok(&format!("{}/{route}/{deep}", scene.v1())).await;
        assert_eq!(
            reply.headers["cache-control"], "public, max-age=31536000, immutable",
            "{route}"
        );
    }
    for route in ["tweaks", "utxos"] {
        let reply = ok(&format!("{}/{route}/{deep}", scene.v1())).await;
        assert_eq!(reply.headers["cache-control"], "public, no-cache", "{route}");
    }

    // A block of many outputs, compressed if accepted.
    let coins = (0..=height).rev();
    let mut largest = Vec::new();
    for h in coins.take(20) {
        let body = ok(&format!("{}/utxos/{h}", scene.v1())).await.body;
        if body.len() > largest.len() {
            largest = body.to_vec();
        }
        let packed = with(&format!("{}/utxos/{h}", scene.v1()), "accept-encoding", "gzip").await;
        if packed.headers.get("content-encoding").is_some_and(|e| e == "gzip") {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(packed.body.as_ref())
                .read_to_end(&mut plain)
                .unwrap();
            assert_eq!(plain, body);
            assert!(packed.body.len() < body.len());
        } else {
            assert!(body.len() < 100, "only what is short is not worth it: {}", body.len());
        }
    }
    assert!(largest.len() > 300, "at least one block had something in it");

    // Invalid requests.
    for wrong in ["x", "-1", "+5", "%2B5", "%205", "4294967296", "1.0"] {
        for route in ["tweaks", "block-hash", "filter/spent"] {
            let reply = http_get(&format!("{}/{route}/{wrong}", scene.v1())).await;
            assert_eq!(problem(&reply, 400), "could not parse block height");
        }
    }
    for wrong in ["much", "%2B5", "-1", ""] {
        let reply = http_get(&format!("{}/tweaks/1?dustLimit={wrong}", scene.v1())).await;
        assert_eq!(problem(&reply, 400), "Invalid dustLimit parameter");
    }
    // Redundant slashes are ignored here, and not in other routes.
    let plain = ok(&format!("{}/tweak-index/{height}?dustLimit=5", scene.v1()))
        .await
        .json();
    for same in [
        format!("{}/tweak-index/{height}/?dustLimit=5", scene.v1()),
        format!("{}//tweak-index//{height}?dustLimit=5", scene.v1()),
        format!(
            "{}//blindbit//v1/tweak-index/{height}//?dustLimit=5",
            scene.relay.http_url()
        ),
    ] {
        assert_eq!(ok(&same).await.json(), plain, "{same}");
    }
    assert_eq!(
        http_get(&format!("{}/health/", scene.relay.http_url())).await.status,
        404
    );
    // A web page may send a transaction through this route, like through `/tx`.
    for (path, field) in [
        ("/tx", "hex"),
        ("/blindbit/v1/forward-tx", "data"),
        ("/blindbit/v1//forward-tx/", "data"),
    ] {
        let url = format!("{}{path}", scene.relay.http_url());
        for method in ["OPTIONS", "POST"] {
            let request = Request::builder().method(method).uri(&url);
            let request = request
                .header("origin", "https://wallet.example")
                .header("access-control-request-method", "POST")
                .header("content-type", "application/json");
            let body = Full::from(json!({field: serialize_hex(&tx)}).to_string());
            let reply = http_send(request.body(body).unwrap()).await;
            let status = if method == "POST" { 422 } else { 204 };
            assert_eq!(reply.status.as_u16(), status, "{method} {path}: {}", reply.text());
            assert_eq!(reply.headers["access-control-allow-origin"], "*");
        }
    }
    for version in [scene.v1(), scene.v2()] {
        let reply = http_get(&format!("{version}/utxos/{}", height + 1)).await;
        assert!(problem(&reply, 404).contains(&format!("block {} does not exist", height + 1)));
    }
    problem(&http_post(&forward, &json!({"hex": "00"})).await, 400);
    problem(&http_post(&forward, &json!({"data": "00"})).await, 400);
    let known = problem(&http_post(&forward, &json!({"data": serialize_hex(&tx)})).await, 422);
    assert!(known.contains("rejects"), "{known}");
    let form = Request::post(&forward).header("content-type", "application/x-www-form-urlencoded");
    let form = form.body(Full::from(format!("data={}", serialize_hex(&tx)))).unwrap();
    problem(&http_send(form).await, 422);

    // Without the node, requests are answered from the index.
    scene.node.stop().await;
    assert_eq!(ok(&format!("{}/utxos/{height}", scene.v1())).await.json(), utxos);
    assert_eq!(
        get(&format!("{}/full-block/{height}", scene.v2())).await["block_identifier"],
        block
    );
    problem(&http_post(&forward, &json!({"data": serialize_hex(&tx)})).await, 503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_need_a_token_are_cached_privately() {
    let node = testkit::PooledNode::take(Options::default()).await;
    // More than a hundred blocks deep is final.
    let tip = node.height().await;
    assert!(tip > 101, "{tip}");
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).node(&node);
    let relay = RelayProcess::start(options.set("AUTH__READ_TOKEN", "a-token-for-reading")).await;
    let (deep, young) = (
        format!("{}/blindbit/v2/tweaks/1", relay.http_url()),
        format!("{}/blindbit/v1/tweak-index/{tip}", relay.http_url()),
    );
    let requested = async |url: &str| with(url, "authorization", "Bearer a-token-for-reading").await;
    testkit::eventually(std::time::Duration::from_secs(60), "the index at the tip", async || {
        (requested(&young).await.status == 200).then_some(())
    })
    .await;
    let control = |reply: &HttpReply| reply.headers["cache-control"].to_str().unwrap().to_owned();
    assert_eq!(control(&requested(&deep).await), "private, max-age=31536000, immutable");
    assert_eq!(control(&requested(&young).await), "private, no-cache");
    let stranger = http_get(&deep).await;
    assert_eq!(stranger.status, 401);
    assert!(!stranger.headers.contains_key("etag"), "{:?}", stranger.headers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_without_an_index_is_reported() {
    let node = testkit::PooledNode::take(Options::default()).await;
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).node(&node);
    let relay = RelayProcess::start(options.set("INDEX__ENABLED", "false")).await;
    for route in [
        "v1/info",
        "v1/block-height",
        "v1/tweaks/0",
        "v1/block-hash/0",
        "v2/compute-index/0",
    ] {
        let reply = http_get(&format!("{}/blindbit/{route}", relay.http_url())).await;
        assert!(problem(&reply, 503).contains("index.enabled"));
    }
}
