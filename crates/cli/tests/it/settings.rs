//! Every configuration and every setting that the documentation shows is one of the program.

use sdk_relay_config::{Config, ConfigError, Loader, Overrides, TABLE, WEBHOOK_TABLE};

use crate::page::pages;

/// What the pages write for a secret that the reader chooses; the program refuses it as a token.
const PLACEHOLDER: &str = "REPLACE ME";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Names with the form of a setting that are fields of `/health`, or files of the data directory.
const OTHERS: [&str; 9] = [
    "index.state",
    "index.first_height",
    "index.height",
    "index.target",
    "index.progress",
    "index.error",
    "wallet.key",
    "mesh.key",
    "mesh.names",
];

/// Variables of the command line alone, after `SDK_RELAY_`.
const ARGUMENTS: [&str; 2] = ["CONFIG", "TOKEN"];

fn load(text: &str) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sdk_relay.toml");
    std::fs::write(&file, text).unwrap();
    let data_dir = TABLE.iter().find(|setting| setting.key == "data_dir").unwrap();
    let overrides = Overrides::default().with_config(file);
    Loader::new(overrides.with(data_dir, folder.path().display().to_string())).load()
}

#[test]
fn every_configuration_of_the_pages_is_valid() {
    let mut problems = Vec::new();
    let mut count = 0;
    for page in pages() {
        for block in &page.blocks {
            match block.words.split(' ').collect::<Vec<_>>()[..] {
                ["toml", "relay" | "remedy"] => {
                    count += 1;
                    if let Err(error) = load(&block.text.replace(PLACEHOLDER, SECRET)) {
                        problems.push(format!("{}:{}: {error}", page.path.display(), block.line));
                    }
                }
                // A manifest of a Rust program.
                ["toml"] if block.text.starts_with("[dependencies]") => {}
                ["toml", ..] => problems.push(format!(
                    "{}:{}: mark the configurations of a relay with \"toml relay\"",
                    page.path.display(),
                    block.line
                )),
                ["json"] => {
                    count += 1;
                    if let Err(error) = serde_json::from_str::<serde_json::Value>(&block.text) {
                        problems.push(format!("{}:{}: {error}", page.path.display(), block.line));
                    }
                }
                _ => {}
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(count > 15, "{count} configurations");
    assert!(load("interval = 1").is_err() && load("[auth]\nadmin_token = \"REPLACE ME\"").is_err());
}

#[test]
fn every_setting_named_in_the_pages_exists() {
    let tables: Vec<&str> = TABLE.iter().filter_map(|s| Some(s.key.split_once('.')?.0)).collect();
    let is_word = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let mut problems = Vec::new();
    let mut count = 0;
    for page in pages() {
        for (line, code) in &page.spans {
            let key = code.split(" = ").next().unwrap_or(code);
            let named = match (key.split_once('.'), key.strip_prefix("SDK_RELAY_")) {
                (Some((table, name)), None) if tables.contains(&table) && is_word(name) => key.to_owned(),
                (None, Some(variable))
                    if !ARGUMENTS.contains(&variable) && !variable.contains('…') && !variable.is_empty() =>
                {
                    let name = variable.split('=').next().unwrap_or(variable);
                    name.to_lowercase().replace("__", ".")
                }
                _ => continue,
            };
            count += 1;
            let is_of_webhook = named
                .strip_prefix("webhooks.")
                .and_then(|rest| rest.split_once('.'))
                .is_some_and(|(_, name)| {
                    let key = format!("webhooks.NAME.{name}");
                    WEBHOOK_TABLE.iter().any(|setting| setting.key == key)
                });
            if !is_of_webhook && !OTHERS.contains(&named.as_str()) && !TABLE.iter().any(|setting| setting.key == named)
            {
                problems.push(format!("{}:{line}: there is no setting {named}", page.path.display()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(count > 100, "{count} names");
}
