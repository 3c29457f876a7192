//! The page and its files as they are sent.

use std::collections::BTreeSet;
use std::path::Path;

use axum::body::{Body, to_bytes};
use bitcoin::hashes::{Hash, sha256};
use hyper::{Request, StatusCode};
use tower::ServiceExt as _;

use crate::assets::{ASSETS, LIBRARIES, MODULES, STYLE, VERSION};
use crate::page::PAGE;

/// Everything that a browser loads, compressed: what a page over Tor or a phone can bear.
const MOST_BYTES: usize = 60 * 1000;

async fn get(path: &str, headers: &[(&str, &str)]) -> axum::response::Response {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    crate::edge().routes.oneshot(request).await.unwrap()
}

async fn text(response: axum::response::Response) -> String {
    String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
}

#[test]
fn all_files_together_are_small() {
    let files = ASSETS.values().map(|asset| asset.gzip.as_ref().unwrap().len());
    let all = files.sum::<usize>() + PAGE.gzip.as_ref().unwrap().len();
    assert!(all <= MOST_BYTES, "{all} bytes");
}

/// Names of the files of a folder that are served.
fn files_of(folder: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").join(folder);
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let names = files.map(|entry| entry.file_name().into_string().unwrap());
    names
        .filter(|name| name.ends_with(".js") || name.ends_with(".css"))
        .collect()
}

#[test]
fn every_file_of_the_folders_is_part_of_the_page() {
    let mut own: BTreeSet<String> = MODULES.iter().map(|(name, _)| (*name).to_owned()).collect();
    own.insert("style.css".to_owned());
    assert_eq!(own, files_of("."));
    let libraries: BTreeSet<String> = LIBRARIES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(libraries, files_of("vendor"));
}

#[test]
fn the_page_names_no_other_host_and_has_nothing_inline() {
    let page = include_str!("../assets/page.html");
    for inline in ["<style", " style=", " onclick=", " onload=", "<script>"] {
        assert!(!page.contains(inline), "{inline}");
    }
    for (file, source) in MODULES.iter().chain(&[("style.css", STYLE), ("page.html", page)]) {
        for outside in ["http://", "https://", "innerHTML", "eval(", "@import", "url("] {
            assert!(!source.contains(outside), "{file}: {outside}");
        }
    }
}

#[test]
fn the_libraries_are_those_that_their_table_lists() {
    let table = include_str!("../assets/vendor/README.md");
    for (name, text) in LIBRARIES {
        let hash = sha256::Hash::hash(text.as_bytes()).to_string();
        let row = table.lines().find(|line| line.contains(&format!("`{name}`"))).unwrap();
        assert!(row.contains(&hash), "{name}: {hash}");
    }
}

#[tokio::test]
async fn browsers_get_the_page_at_the_root_and_programs_a_problem() {
    let page = get("/", &[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")]).await;
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(
        policy.starts_with("default-src 'none';") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(text(page).await.contains("<title>"));
    for accept in ["application/json", "*/*"] {
        let problem = get("/", &[("accept", accept)]).await;
        assert_eq!(problem.status(), StatusCode::NOT_FOUND);
        assert_eq!(problem.headers()["content-type"], "application/problem+json");
        assert_eq!(problem.headers()["vary"], "Accept");
    }
    assert_eq!(get("/dashboard", &[]).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_page_names_files_that_exist_and_may_be_kept_for_good() {
    let page = text(get("/dashboard", &[]).await).await;
    let addresses: Vec<&str> = page
        .split("\"/dashboard/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(addresses.len(), ASSETS.len(), "{addresses:?}");
    for address in addresses {
        let file = get(&format!("/dashboard/{address}"), &[("accept-encoding", "gzip, br")]).await;
        assert_eq!(file.status(), StatusCode::OK, "{address}");
        assert_eq!(file.headers()["cache-control"], "public, max-age=31536000, immutable");
        assert_eq!(file.headers()["content-encoding"], "gzip");
        let plain = get(&format!("/dashboard/{address}"), &[("accept-encoding", "gzip;q=0")]).await;
        assert!(plain.headers().get("content-encoding").is_none());
    }
    let old = get("/dashboard/0000000000000000/main.js", &[]).await;
    assert_eq!(old.status(), StatusCode::NOT_FOUND);
    let unknown = get(&format!("/dashboard/{}/nothing.js", *VERSION), &[]).await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_unchanged_page_is_not_sent_again() {
    let first = get("/dashboard", &[]).await;
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    let again = get("/dashboard", &[("if-none-match", &tag)]).await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert!(text(again).await.is_empty());
    assert_eq!(
        get("/dashboard", &[("if-none-match", "\"other\"")]).await.status(),
        StatusCode::OK
    );
}
