//! What comes from the system goes through `platform`, so that a simulation can replace it.

use std::path::PathBuf;

use super::files::Read;
use super::module;

/// What no crate but the named ones calls.
struct Rule {
    /// Where the forbidden paths begin.
    path: &'static [&'static str],
    instead: &'static str,
    /// Crates that call it, with the reason.
    except: &'static [(&'static str, &'static str)],
}

/// A library for other programs, which do not bring a `platform`.
const CLIENT: (&str, &str) = ("client", "a library for other programs");
/// Opens the files of the system, or of a simulation.
const FILES: (&str, &str) = ("files", "opens the files");
/// Opens the sockets of the system, or of a simulation.
const PLATFORM: (&str, &str) = ("platform", "opens the sockets");
/// The figures of a scan decide nothing.
const SCAN_FIGURES: (&str, &str) = ("bip352", "measures the steps of a scan");
/// Pure computing, whose result does not depend on threads.
const POOL: (&str, &str) = ("index", "its pool of threads only computes");
const SCAN: (&str, &str) = ("detect", "the threads of a scan only compute; their result is sorted");
const SUPERVISOR: (&str, &str) = ("supervisor", "the owner of threads");
const START: (&str, &str) = (
    "relay",
    "tests before the start whether the system allows enough threads",
);

/// What programs read from an operating system.
const PROC: (&str, &str) = ("transport", "counts its open files in /proc");
/// Once, for a package, at its build.
const PACKAGE_FILES: (&str, &str) = ("cli", "writes the manual pages of a package");
/// The files that a person names on the command line.
const USER_FILES: (&str, &str) = ("scan", "reads the key file of its user");

const RULES: [Rule; 12] = [
    Rule {
        path: &["std", "fs"],
        instead: "a function of sdk_relay_files",
        except: &[CLIENT, FILES, PACKAGE_FILES, PROC, USER_FILES],
    },
    Rule {
        path: &["tokio", "fs"],
        instead: "a function of sdk_relay_files on sdk_relay_platform::blocking",
        except: &[],
    },
    Rule {
        path: &["tokio", "net", "TcpStream"],
        instead: "sdk_relay_platform::net::connect",
        except: &[CLIENT, PLATFORM],
    },
    Rule {
        path: &["tokio", "net", "TcpListener"],
        instead: "sdk_relay_platform::net::listen",
        except: &[PLATFORM],
    },
    Rule {
        path: &["tokio", "net", "lookup_host"],
        instead: "sdk_relay_platform::net::lookup",
        except: &[PLATFORM],
    },
    Rule {
        path: &["std", "time", "SystemTime", "now"],
        instead: "sdk_relay_platform::clock::now",
        except: &[CLIENT],
    },
    Rule {
        path: &["std", "time", "Instant", "now"],
        instead: "tokio::time::Instant::now or sdk_relay_platform::clock::monotonic",
        except: &[SCAN_FIGURES],
    },
    Rule {
        path: &["tokio", "task", "spawn_blocking"],
        instead: "sdk_relay_platform::blocking::spawn",
        except: &[CLIENT],
    },
    Rule {
        path: &["std", "thread", "spawn"],
        instead: "Supervisor::thread",
        except: &[],
    },
    Rule {
        path: &["std", "thread", "Builder"],
        instead: "Supervisor::thread",
        except: &[POOL, SCAN, SUPERVISOR, START],
    },
    Rule {
        path: &["bitcoin", "secp256k1", "rand", "rngs", "OsRng"],
        instead: "sdk_relay_platform::random::rng",
        except: &[],
    },
    Rule {
        path: &["bitcoin", "secp256k1", "rand", "thread_rng"],
        instead: "sdk_relay_platform::random::rng",
        except: &[],
    },
];

/// The calls of the crate in `folder` that a rule forbids; code below `#[cfg(test)]` is left out.
pub(crate) fn check(folder: &str, roots: &[PathBuf], read: Read<'_>) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for root in roots {
        for module in module::parse(root, read)? {
            // What a feature adds for tests.
            if module.file.components().any(|part| part.as_os_str() == "testing") {
                continue;
            }
            for path in &module.content.references {
                let full = expanded(path, &module.content.uses);
                let broken = RULES.iter().find(|rule| {
                    let is_excepted = rule.except.iter().any(|(name, _)| *name == folder);
                    !is_excepted
                        && full
                            .iter()
                            .map(String::as_str)
                            .take(rule.path.len())
                            .eq(rule.path.iter().copied())
                });
                if let Some(rule) = broken {
                    let (file, named) = (module.file.display(), path.join("::"));
                    problems.push(format!(
                        "{file}: `{named}` takes from the system what a simulation replaces: call {}",
                        rule.instead
                    ));
                }
            }
        }
    }
    problems.sort();
    problems.dedup();
    Ok(problems)
}

/// The path with what its first segment is imported as: `Instant::now` is `std::time::Instant::now`.
fn expanded(path: &[String], uses: &[(String, Vec<String>)]) -> Vec<String> {
    let Some((first, rest)) = path.split_first() else {
        return Vec::new();
    };
    let imported = uses
        .iter()
        .find(|(name, full)| name == first && full.as_slice() != path);
    let before = imported.map_or_else(|| vec![first.clone()], |(_, full)| full.clone());
    before.into_iter().chain(rest.iter().cloned()).collect()
}
