//! The libraries of Standard Webhooks accept the messages, and refuse changed ones.

use std::process::Stdio;

use hyper::header::{HeaderMap, HeaderName};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use testkit::{RelayProcess, is_left_out};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::receiver::Receiver;
use super::{SECRET, posting_to, shown, until_delivered};
use crate::support::program::{node, node_packages, python};
use crate::wire::mine;

/// Reads a secret and messages, and prints how many were accepted and how many changed ones.
const PYTHON: &str = "
import json, sys
from standardwebhooks import Webhook, WebhookVerificationError
given = json.load(sys.stdin)
hook = Webhook(given['secret'])
good = bad = 0
for message in given['messages']:
    event = hook.verify(message['body'], message['headers'])
    good += event == json.loads(message['body'])
    try:
        hook.verify(message['body'] + ' ', message['headers'])
        bad += 1
    except WebhookVerificationError:
        pass
print(good, bad)
";

const JAVASCRIPT: &str = "
import { createPublicKey, verify } from 'node:crypto';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
let text = '';
for await (const part of process.stdin) text += part;
const given = JSON.parse(text);
const hook = new Webhook(given.secret);
// The library verifies v1 only.
const x = Buffer.from(given.public_key.slice('whpk_'.length), 'base64').toString('base64url');
const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
const isSigned = (body, headers) => headers['webhook-signature'].split(' ').some((signature) => {
    const [kind, bytes] = signature.split(',');
    const signed = Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`);
    return kind === 'v1a' && verify(null, signed, key, Buffer.from(bytes, 'base64'));
});
let good = 0, bad = 0, asymmetric = 0;
for (const { body, headers } of given.messages) {
    good += JSON.stringify(hook.verify(body, headers)) === JSON.stringify(JSON.parse(body));
    asymmetric += isSigned(body, headers) && !isSigned(body + ' ', headers);
    try {
        hook.verify(body + ' ', headers);
        bad += 1;
    } catch (error) {
        if (!(error instanceof WebhookVerificationError)) throw error;
    }
}
console.log(good, bad, asymmetric);
";

async fn messages() -> Value {
    let receiver = Receiver::start().await;
    // Several keys, as during a rotation: the libraries look for theirs.
    let others = "whsec_YWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVm whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    let options = posting_to(&receiver.url).set("WEBHOOKS__SHOP__SECRET", format!("{others} {SECRET}"));
    let relay = RelayProcess::start(options).await;
    mine(&relay, 3).await;
    until_delivered(&relay, "shop").await;
    let messages: Vec<_> = receiver
        .accepted()
        .iter()
        .map(|message| {
            let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
            let headers: serde_json::Map<_, _> = names
                .iter()
                .map(|name| ((*name).to_owned(), Value::from(message.header(name))))
                .collect();
            json!({"body": std::str::from_utf8(&message.body).unwrap(), "headers": headers})
        })
        .collect();
    assert!(messages.len() >= 3);
    let public_key = shown(&relay, "shop").await["public_keys"][0].clone();
    json!({"secret": SECRET, "public_key": public_key, "messages": messages})
}

/// Runs a program with this input; returns what it prints.
async fn run(mut program: Command, input: &Value) -> String {
    let mut child = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.to_string().as_bytes()).await.unwrap();
    drop(stdin);
    let done = child.wait_with_output().await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn the_library_for_python_accepts_the_messages() {
    let input = messages().await;
    let count = input["messages"].as_array().unwrap().len();
    let mut program = Command::new(python().await);
    program.args(["-c", PYTHON]);
    assert_eq!(run(program, &input).await, format!("{count} 0"));
}

#[tokio::test]
async fn the_library_for_javascript_accepts_the_messages() {
    if is_left_out("javascript") {
        return;
    }
    let input = messages().await;
    let count = input["messages"].as_array().unwrap().len();
    let packages = node_packages().await;
    let file = packages.join("verify-webhooks.mjs");
    std::fs::write(&file, JAVASCRIPT).unwrap();
    let mut program = node();
    program.arg(&file);
    assert_eq!(run(program, &input).await, format!("{count} 0 {count}"));
}

#[tokio::test]
async fn the_library_for_rust_accepts_the_messages() {
    let input = messages().await;
    let hook = Webhook::new(SECRET).unwrap();
    for message in input["messages"].as_array().unwrap() {
        let headers: HeaderMap = message["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| {
                let value = value.as_str().unwrap().parse().unwrap();
                (name.parse::<HeaderName>().unwrap(), value)
            })
            .collect();
        let body = message["body"].as_str().unwrap().as_bytes();
        hook.verify(body, &headers).unwrap();
        let changed = [body, b" "].concat();
        assert!(hook.verify(&changed, &headers).is_err());
    }
}
