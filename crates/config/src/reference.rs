//! Texts generated from the table: the file that `sdk_relay init` writes, and `docs/configuration.md`.

use crate::setting::{Effect, Kind, Setting};
use crate::settings::{GROUPS, TABLE, WEBHOOK_ABOUT, WEBHOOK_TABLE};

/// Longest line of the file.
const WIDTH: usize = 120;

const FILE_HEAD: &str = "\
# Configuration of sdk_relay.
#
# This file lists every setting with its default. To change a setting, remove the `#` in front of it and edit the
# value. Environment variables (SDK_RELAY_SYNC__INTERVAL=60) override this file; changes made with PUT /config, which
# the relay keeps in settings.toml in the data directory, override both; flags override all of these.
# `sdk_relay check-config` checks the configuration.
";

const PAGE_HEAD: &str = "\
<!-- Made from crates/config/src/settings.rs by the test `the_reference_is_that_of_the_table`; edit that file. -->
# Configuration

Every setting of the relay. [Operate a relay](operating.md#configure) shows where to set them, and which source
overrides which.

- **In the file** `sdk_relay.toml`, a key such as `sync.interval` is written as `interval` below `[sync]`.
  `sdk_relay init` writes a file with every setting.
- **In the environment**, a list is written with commas: `SDK_RELAY_HTTP__HOSTS=a.example.com,b.example.com`.
- **At runtime** says whether [`PUT /config`](API.md#change-the-configuration) changes the setting. All others take
  effect at the next start: edit the file, then [`POST /restart`](API.md#restart-the-relay).
- **Secrets** are shown nowhere: neither in errors nor in the log nor by `GET /config`. Each can also be a
  [credential of systemd](operating.md#keep-secrets-out-of-the-file): a file with the name of the key.
";

/// The configuration file with every key at its default, with documentation.
pub fn template() -> String {
    let mut file = FILE_HEAD.to_owned();
    for (group, about) in groups() {
        if !group.is_empty() {
            file.push_str(&format!("\n# {about}\n[{group}]\n"));
        }
        for setting in of(group) {
            file.push('\n');
            comment(&mut file, setting);
            file.push_str(&format!("# {} = {}\n", setting.name(), setting.kind.default().shown()));
        }
    }
    // Indented: without a name, they are no settings.
    file.push_str(&format!("\n# {WEBHOOK_ABOUT}\n#     [webhooks.NAME]\n"));
    for setting in WEBHOOK_TABLE {
        let name = setting.key.rsplit('.').next().unwrap_or(setting.key);
        file.push('\n');
        comment(&mut file, setting);
        file.push_str(&format!("#     {name} = {}\n", setting.kind.default().shown()));
    }
    file
}

/// The page of all settings, in Markdown.
pub fn reference() -> String {
    let mut page = PAGE_HEAD.to_owned();
    for (group, about) in groups() {
        match group {
            "" => page.push_str("\n## Top-level keys\n"),
            group => page.push_str(&format!("\n## `[{group}]`\n\n{about}\n")),
        }
        of(group).for_each(|setting| section(&mut page, setting));
    }
    page.push_str(&format!(
        "\n## `[webhooks.NAME]`\n\n{WEBHOOK_ABOUT} A name has at most 32 lower-case letters, digits, `-` and `_`. There may be 64.\n\
         [Webhooks](webhooks.md) shows how to set one up.\n"
    ));
    WEBHOOK_TABLE.iter().for_each(|setting| section(&mut page, setting));
    page
}

/// The groups in the order of the file.
fn groups() -> impl Iterator<Item = (&'static str, &'static str)> {
    [("", "")].into_iter().chain(GROUPS.iter().copied())
}

fn of(group: &str) -> impl Iterator<Item = &'static Setting> {
    TABLE.iter().copied().filter(move |setting| setting.group() == group)
}

/// The documentation of a setting as a comment of the file.
fn comment(file: &mut String, setting: &Setting) {
    let mut line = "#".to_owned();
    let mut is_fenced = false;
    for text in setting.about().filter(|text| !text.is_empty()) {
        if text.starts_with("```") {
            is_fenced = !is_fenced;
        } else if is_fenced {
            push_line(file, &line);
            line = format!("#     {text}");
        } else {
            wrap(file, &mut line, text);
        }
    }
    push_line(file, &line);
    if !matches!(setting.kind, Kind::Bool { .. }) {
        "#".clone_into(&mut line);
        wrap(
            file,
            &mut line,
            &format!("Value: {}{}.", setting.kind.values(), unit(setting)),
        );
        push_line(file, &line);
    }
}

/// Adds words to a line, and writes each line that is full.
fn wrap(file: &mut String, line: &mut String, text: &str) {
    for word in text.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            push_line(file, line);
            "#".clone_into(line);
        }
        line.push(' ');
        line.push_str(word);
    }
}

fn push_line(file: &mut String, line: &str) {
    file.push_str(line);
    file.push('\n');
}

fn unit(setting: &Setting) -> String {
    match setting.unit {
        "" => String::new(),
        unit => format!(" ({unit})"),
    }
}

fn section(page: &mut String, setting: &Setting) {
    let about: Vec<_> = setting.about().collect();
    let default = setting.kind.default().shown();
    let at_runtime = match &setting.change {
        None => "no",
        Some(change) => match change.effect {
            Effect::AtOnce => "yes, at once",
            Effect::AtRestart => "yes, after a restart",
        },
    };
    let secret = if setting.is_secret { ", a secret" } else { "" };
    page.push_str(&format!(
        "\n### `{}`\n\n{}\n\n| Value | Default | Environment variable | Flag | At runtime |\n|---|---|---|---|---|\n\
         | {}{}{secret} | `{default}` | `{}` | {} | {at_runtime} |\n",
        setting.key,
        about.join("\n").trim(),
        setting.kind.values(),
        unit(setting),
        setting.variable(),
        setting.flag.map_or_else(String::new, |flag| format!("`{flag}`")),
    ));
}
