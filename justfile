# The commands of the project, for a person and for CI: `just` lists them. Each is a script or a line of cargo; just itself is not needed.

_list:
    @just --list --unsorted

# Build and start a relay on the embedded development chain, or with the given arguments
run *args:
    ./scripts/run {{args}}

# Every test, and all that they need; arguments go to cargo test
test *args:
    ./scripts/test {{args}}

# What a change must pass: format, lints, licences and bans, tests
ci:
    ./.ci/run

# A running relay held against its own /openapi.json; arguments go to schemathesis
schemathesis *args:
    ./scripts/schemathesis {{args}}

# The dashboard in a browser; `just dashboard --screenshots` makes the pictures of docs/dashboard.md
dashboard *args:
    ./scripts/dashboard-test {{args}}

# Metrics, alert rules and the Grafana dashboard against a real Prometheus
monitoring:
    ./scripts/monitoring

# The WebSocket conformance suite ($AUTOBAHN) with all its sections, and its result in docs/autobahn.md
autobahn:
    AUTOBAHN_CASES='1.*,2.*,3.*,4.*,5.*,6.*,7.*,9.*,10.*' AUTOBAHN_SUMMARY="$PWD/docs/autobahn.md" ./scripts/test -p sdk_relay --test it autobahn::

# The packages of a release, in target/package/out: `just release --sign minisign.key`
release *args:
    ./scripts/release {{args}}

# The Debian package installed, used, upgraded and purged in a fresh Debian 12 (root is needed)
release-test:
    ./scripts/release-test

# Format the code
fmt:
    cargo fmt --all

# Everything that a peer or a client can send, and the scanner, fuzzed: `just fuzz 30 mesh`
fuzz *args:
    ./scripts/fuzz {{args}}

# The long loops, for a night: `just soak 60 crashes`
soak *args:
    ./scripts/soak {{args}}

# Lints, as errors
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Imports between crates and files: `just layers --update` after files have moved
layers *args:
    ./scripts/layers {{args}}

# Links, French pages and quoted messages of the Markdown pages
docs:
    ./scripts/docs

# The documentation of every crate, private items included; warnings are errors
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked

# Spelling; `just typos -w` corrects it
typos *args:
    ./scripts/typos {{args}}

# Licences, bans and sources of the dependencies
deny:
    cargo fetch --locked --quiet
    "$(./scripts/cargo-deny | tail -n 1)" --offline --locked check --hide-inclusion-graph licenses bans sources

# Security advisories and yanked versions of the dependencies
advisories *args:
    ./scripts/advisories {{args}}

# A report: `just bench latency`
bench *args:
    cargo run --release --locked -p bench -- {{args}}
