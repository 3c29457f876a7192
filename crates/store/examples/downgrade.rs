//! Turns a `relay.redb` into the format of version 0.1, for `scripts/release-test`: `downgrade FILE`.

fn main() {
    for file in std::env::args_os().skip(1) {
        sdk_relay_store::testing::downgrade(file.as_ref());
    }
}
