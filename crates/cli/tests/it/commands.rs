//! Every `sdk_relay …` of the documentation is a command line that the program accepts.

use clap::Parser;
use clap::error::ErrorKind;
use sdk_relay_cli::Cli;

use crate::page::pages;

const PROGRAM: &str = "sdk_relay";

/// The arguments of each command in a line of a shell.
fn commands(line: &str) -> Vec<Vec<String>> {
    let line = line.split(" #").next().unwrap_or(line);
    line.split([';', '|', '>', '('])
        .flat_map(|part| part.split("&&"))
        .filter_map(|part| {
            let mut words = part
                .split_whitespace()
                .skip_while(|word| before_the_program(word))
                .peekable();
            let program = words.peek()?;
            (program.rsplit('/').next() == Some(PROGRAM)).then(|| words.map(str::to_owned).collect())
        })
        .collect()
}

/// `VARIABLE=value` and `sudo -u USER`.
fn before_the_program(word: &str) -> bool {
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    word == "sudo" || word == "-u" || word == "env" || word.split_once('=').is_some_and(|(name, _)| is_name(name))
}

/// `sudo -u sdk_relay sdk_relay …`: the name of the user is not the program.
fn without_user(mut words: Vec<String>) -> Vec<String> {
    if words.get(1).is_some_and(|second| second == PROGRAM) {
        words.remove(0);
    }
    words
}

/// Why the program refuses it. `--help` and `--version` end it without an error.
fn refused(words: &[String]) -> Option<clap::Error> {
    let error = Cli::try_parse_from(words).err()?;
    let is_answered = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    (!is_answered).then_some(error)
}

#[test]
fn every_command_of_the_pages_is_accepted() {
    let mut problems = Vec::new();
    let mut count = 0;
    for page in pages() {
        for block in page.blocks.iter().filter(|b| b.words.split(' ').next() == Some("sh")) {
            for line in block.text.replace("\\\n", " ").lines() {
                for words in commands(line).into_iter().map(without_user) {
                    count += 1;
                    if let Some(error) = refused(&words) {
                        problems.push(format!("{}:{}: {line}\n{error}", page.path.display(), block.line));
                    }
                }
            }
        }
        for (line, code) in &page.spans {
            for words in commands(code).into_iter().map(without_user) {
                count += 1;
                // In the text, a command may stand without its required arguments.
                if let Some(error) = refused(&words).filter(|e| e.kind() != ErrorKind::MissingRequiredArgument) {
                    problems.push(format!("{}:{line}: {code}\n{error}", page.path.display()));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(count > 30, "{count} commands");
}

#[test]
fn commands_are_found_in_lines_of_a_shell() {
    let found = |line: &str| -> Vec<String> {
        let commands = commands(line).into_iter().map(without_user);
        commands.map(|words| words.join(" ")).collect()
    };
    for (line, expected) in [
        ("sdk_relay init   # write it", vec!["sdk_relay init"]),
        ("A_B=1 sdk_relay scan --from 1 > x", vec!["sdk_relay scan --from 1"]),
        (
            "sudo -u sdk_relay sdk_relay check-config",
            vec!["sdk_relay check-config"],
        ),
        ("./usr/bin/sdk_relay --help", vec!["./usr/bin/sdk_relay --help"]),
        (
            "a && sdk_relay --version; sdk_relay",
            vec!["sdk_relay --version", "sdk_relay"],
        ),
        ("systemctl start sdk_relay", vec![]),
        ("sdk_relay.toml", vec![]),
    ] {
        assert_eq!(found(line), expected, "{line}");
    }
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert!(refused(&words("sdk_relay scan --form 1")).is_some());
    assert!(refused(&words("sdk_relay --version")).is_none());
}
