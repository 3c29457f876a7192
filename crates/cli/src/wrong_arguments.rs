//! The message for a wrong command line.

use clap::error::ContextValue;
use sdk_relay_echo::{MOST_CHARS, message, short};
use sdk_relay_scan::is_key;

/// The message of clap, with the arguments that it repeats shortened and without control characters.
pub(crate) fn wrong_arguments(error: &clap::Error) -> String {
    let mut text = error.to_string();
    for (_, value) in error.context() {
        match value {
            ContextValue::String(value) if is_key(value) => text = text.replace(value, "…"),
            ContextValue::String(value) => {
                text = without_credentials(&text, value);
                shorten(&mut text, value);
            }
            ContextValue::Strings(values) => values.iter().for_each(|value| shorten(&mut text, value)),
            _ => {}
        }
    }
    message(&text)
}

/// The text with the user and the password of an address masked, as the settings mask them.
fn without_credentials(text: &str, value: &str) -> String {
    match value.rsplit_once('@') {
        Some((_, host)) => text.replace(value, &format!("…@{host}")),
        None => text.to_owned(),
    }
}

fn shorten(text: &mut String, value: &str) {
    if value.len() <= MOST_CHARS && !value.contains(char::is_control) {
        return;
    }
    // clap removes the colours of a terminal when it writes a message without colours.
    for value in [value, &without_colours(value)] {
        if !value.is_empty() {
            *text = text.replace(value, &short(value));
        }
    }
}

/// Without the sequences that begin with ESC and `[` and end with a letter (ECMA-48, section 5.4).
fn without_colours(value: &str) -> String {
    let mut rest = value;
    let mut plain = String::with_capacity(value.len());
    while let Some((before, sequence)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        let end = sequence.find(|char| matches!(char, '@'..='~'));
        rest = end.map_or("", |end| &sequence[end + 1..]);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::Cli;

    fn error(arguments: &[&str]) -> String {
        let arguments = std::iter::once("sdk_relay").chain(arguments.iter().copied());
        wrong_arguments(&Cli::try_parse_from(arguments).unwrap_err())
    }

    /// Every flag and argument of every command, with a long value that it refuses, and unknown ones.
    #[test]
    fn no_message_repeats_a_long_argument() {
        let long = "\u{1b}[31mx y\n".repeat(2000);
        let flag = format!("--{long}");
        let mut errors = vec![
            error(&[&flag]),
            error(&[&long]),
            error(&["status", &long]),
            error(&["run", &flag]),
        ];
        for command in Cli::command().get_subcommands() {
            for argument in command.get_arguments().filter_map(clap::Arg::get_long) {
                let argument = format!("--{argument}={long}");
                let arguments = ["sdk_relay", command.get_name(), &argument];
                errors.extend(
                    Cli::try_parse_from(arguments)
                        .err()
                        .map(|error| wrong_arguments(&error)),
                );
            }
        }
        assert!(errors.len() > 10);
        for error in errors {
            assert!(error.chars().count() < 2000, "{} characters: {error:.300}", error.len());
            assert!(
                !error.contains('\u{1b}') && error.matches("x y").count() < 40,
                "{error}"
            );
        }
    }

    #[test]
    fn no_message_has_the_password_of_a_proxy() {
        for proxy in [
            "socks5://u:hunter2@127.0.0.1",
            "http://u:hunter2@127.0.0.1:1",
            "u:hunter2@127.0.0.1:9050",
            "socks5://u:hunter2@%zz:1",
        ] {
            for command in ["status", "scan"] {
                let error = error(&[command, "--proxy", proxy]);
                assert!(error.contains("'…@") && !error.contains("hunter2"), "{error}");
            }
        }
    }

    #[test]
    fn no_message_has_a_key_in_a_wrong_place() {
        let (secret, public) = ("5e".repeat(32), format!("02{}", "5e".repeat(32)));
        let wif = "cMahea7zqjxrtgAbB7LSGbcQUr1uX1ojuat9jZodMN87JcbXMTcA";
        let descriptor = format!("sp({secret},{public})");
        for arguments in [
            &["scan", "--from", "0", &secret, &public][..],
            &["scan", "--from", "0", &descriptor],
            &["scan", "--from", wif],
            &["status", "spscan1qqqq"],
        ] {
            let error = error(arguments);
            assert!(error.contains('…') && !error.contains("5e5e"), "{error}");
            assert!(!error.contains("cMahea") && !error.contains("spscan1"), "{error}");
        }
    }

    #[test]
    fn a_usual_message_is_unchanged() {
        let error = error(&["scan", "--from", "yesterday"]);
        assert!(
            error.starts_with(
                "error: invalid value 'yesterday' for '--from <HEIGHT|DATE>': expected a block height (800000), a date"
            ),
            "{error}"
        );
    }
}
