//! The commented file that `sdk_relay init` writes.

/// A file with every key, each at its default and explained.
pub fn template() -> &'static str {
    include_str!("template.toml")
}
