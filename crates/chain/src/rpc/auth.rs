//! Credentials for the node, and the cookie file that changes at each of its starts.

use std::path::{Path, PathBuf};
use std::{fmt, io, sync::Mutex, sync::PoisonError};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::header::HeaderValue;
use sdk_relay_platform::blocking;
use zeroize::Zeroizing;

use crate::joined::joined;

/// A cookie is `__cookie__:` and 64 hex digits; a file that is longer than this is something else.
const MAX_COOKIE_BYTES: u64 = 1024;

/// Credentials that are tried for one request: more than there are usual places of cookie files.
const MAX_ATTEMPTS: usize = 16;

/// Credentials for the node.
#[derive(Clone)]
pub enum Auth {
    /// The file that the node writes at each start (`.cookie` in its data directory).
    CookieFile(PathBuf),
    /// The first of these files that can be read and that the node accepts: it may be any of several nodes' files, and
    /// a node that was killed leaves its own behind.
    CookieFiles(Vec<PathBuf>),
    /// `rpcuser` and `rpcpassword`, or a user of `rpcauth`.
    UserPassword {
        /// User name.
        user: String,
        /// Password; zeroised on drop, never logged.
        password: Zeroizing<String>,
    },
    /// No credentials.
    None,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CookieFile(path) => f.debug_tuple("CookieFile").field(path).finish(),
            Self::CookieFiles(paths) => f.debug_tuple("CookieFiles").field(paths).finish(),
            Self::UserPassword { user, .. } => f
                .debug_struct("UserPassword")
                .field("user", user)
                .finish_non_exhaustive(),
            Self::None => f.write_str("None"),
        }
    }
}

impl Auth {
    fn cookie_files(&self) -> &[PathBuf] {
        match self {
            Self::CookieFile(path) => std::slice::from_ref(path),
            Self::CookieFiles(paths) => paths,
            Self::UserPassword { .. } | Self::None => &[],
        }
    }
}

/// Credentials of one request.
#[derive(Clone)]
pub(super) struct Presented {
    /// Value of the header `Authorization`, if there are credentials.
    pub(super) header: Option<HeaderValue>,
    /// Describes the credentials for an error message, without a secret, and says what to do where they are refused.
    pub(super) description: String,
}

/// [`Auth`] with its cached header.
pub(super) struct Credentials {
    auth: Auth,
    cached: Mutex<Option<Presented>>,
}

impl Credentials {
    pub(super) fn new(auth: Auth) -> Self {
        Self {
            auth,
            cached: Mutex::new(None),
        }
    }

    /// The current credentials. An unreadable cookie file is no error yet: a stopped node deletes its cookie, and "does
    /// not answer" is then the better message.
    pub(super) async fn present(&self) -> Presented {
        let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match cached {
            Some(presented) => presented,
            None => self.read().await,
        }
    }

    /// Whether these are none because no cookie file can be read.
    pub(super) fn lacks_cookie(&self, presented: &Presented) -> bool {
        presented.header.is_none() && !self.auth.cookie_files().is_empty()
    }

    /// Other credentials than these, which the node has refused; `None` if there are none.
    pub(super) async fn renewed(&self, refused: &[Presented]) -> Option<Presented> {
        if refused.len() >= MAX_ATTEMPTS {
            return None;
        }
        for path in self.auth.cookie_files() {
            let Ok(now) = presented(path).await else { continue };
            if !refused.iter().any(|refused| refused.header == now.header) {
                self.keep(&now);
                return Some(now);
            }
        }
        None
    }

    /// Drops the cached cookie: a restarted node has a new one.
    pub(super) fn forget(&self) {
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn read(&self) -> Presented {
        let given = match &self.auth {
            Auth::None => Presented {
                header: None,
                description: "no credentials were sent: none are configured for this address".to_owned(),
            },
            Auth::UserPassword { user, password } => Presented {
                header: basic(&Zeroizing::new(format!("{user}:{}", password.as_str()))),
                description: format!(
                    "user {user:?} and its password: correct bitcoin_core.user or bitcoin_core.password"
                ),
            },
            Auth::CookieFile(_) | Auth::CookieFiles(_) => match first_cookie(self.auth.cookie_files()).await {
                Ok(cookie) => cookie,
                // Not cached: the node writes the file when it starts.
                Err(absent) => return absent,
            },
        };
        self.keep(&given);
        given
    }

    fn keep(&self, presented: &Presented) {
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = Some(presented.clone());
    }
}

/// What to do about a cookie file that cannot be read with this error.
pub fn cookie_advice(error: io::ErrorKind) -> &'static str {
    match error {
        io::ErrorKind::PermissionDenied => {
            "let the node write it for its group (rpccookieperms=group in bitcoin.conf) and add the user of the relay to that group \
             (sdk_relay-grant-node does both for the service of the packages), or set bitcoin_core.user and bitcoin_core.password"
        }
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            "the node writes .cookie into its data directory when it starts: correct bitcoin_core.cookie_file; a node with rpcpassword \
             writes none: set bitcoin_core.user and bitcoin_core.password"
        }
        _ => {
            "expected the file .cookie in the data directory of the node, which is there while the node runs, readable by this user"
        }
    }
}

/// The first cookie that can be read, or why none can, and what to do.
async fn first_cookie(paths: &[PathBuf]) -> Result<Presented, Presented> {
    let (mut reasons, mut absent) = (Vec::new(), Vec::new());
    let mut advice = io::ErrorKind::NotFound;
    for path in paths {
        match presented(path).await {
            Ok(cookie) => return Ok(cookie),
            Err(error) => {
                // A file that is there is more likely the right one.
                if error.kind() == io::ErrorKind::NotFound {
                    absent.push(path.display().to_string());
                    continue;
                }
                advice = error.kind();
                let reason = sdk_relay_files::reason(&error);
                reasons.push(format!("cannot read the cookie file {}: {reason}", path.display()));
            }
        }
    }
    // What is there and cannot be read is more to the point than the usual places that do not exist.
    let reason = match absent.as_slice() {
        _ if !reasons.is_empty() => reasons.join("; "),
        [path] => format!("cannot read the cookie file {path}: No such file or directory"),
        several => format!("there is no cookie file (none of {} exists)", several.join(", ")),
    };
    Err(Presented {
        header: None,
        description: format!("{reason}: {}", cookie_advice(advice)),
    })
}

async fn presented(path: &Path) -> io::Result<Presented> {
    let cookie = cookie(path.to_owned()).await?;
    Ok(Presented {
        header: basic(cookie.trim_end()),
        description: format!(
            "the cookie in {}: it may be that of another node, or of a node that was killed: correct bitcoin_core.cookie_file",
            path.display()
        ),
    })
}

/// Shows where the credentials come from, not what they are.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.auth.fmt(f)
    }
}

async fn cookie(path: PathBuf) -> io::Result<Zeroizing<String>> {
    let read = move || sdk_relay_files::read_text(&path, MAX_COOKIE_BYTES).map(Zeroizing::new);
    match joined(blocking::spawn(read).await) {
        Some(Ok(text)) if text.trim_end().is_empty() => Err(io::Error::other("it is empty")),
        Some(read) => read,
        None => Err(io::Error::other("the runtime is shutting down")),
    }
}

/// RFC 7617.
fn basic(user_and_password: &str) -> Option<HeaderValue> {
    let encoded = Zeroizing::new(format!("Basic {}", STANDARD.encode(user_and_password)));
    let mut value = HeaderValue::from_str(&encoded).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_changed_cookie_is_presented_once_the_old_one_was_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".cookie");
        let credentials = Credentials::new(Auth::CookieFile(path.clone()));
        let absent = credentials.present().await;
        assert!(
            absent.header.is_none() && absent.description.contains("cannot read"),
            "{}",
            absent.description
        );

        std::fs::write(&path, "__cookie__:1\n").unwrap();
        let first = credentials.present().await;
        assert_eq!(first.header.as_ref().unwrap(), "Basic X19jb29raWVfXzox");
        assert!(credentials.renewed(std::slice::from_ref(&first)).await.is_none());

        std::fs::write(&path, "__cookie__:2").unwrap();
        assert_eq!(credentials.present().await.header, first.header);
        let second = credentials.renewed(std::slice::from_ref(&first)).await.unwrap();
        assert_ne!(second.header, first.header);
        assert_eq!(credentials.present().await.header, second.header);
    }

    #[tokio::test]
    async fn each_of_several_cookies_is_tried_once_and_unreadable_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["a", "b", "c", "d"].map(|name| dir.path().join(name));
        let credentials = Credentials::new(Auth::CookieFiles(paths.to_vec()));
        let absent = credentials.present().await;
        assert!(absent.header.is_none());
        for path in &paths {
            assert!(
                absent.description.contains(path.to_str().unwrap()),
                "{}",
                absent.description
            );
        }
        std::fs::write(&paths[1], "__cookie__:1").unwrap();
        std::fs::write(&paths[3], "__cookie__:2").unwrap();
        let first = credentials.present().await;
        assert!(first.description.contains("/b: "), "{}", first.description);
        let second = credentials.renewed(std::slice::from_ref(&first)).await.unwrap();
        assert!(second.description.contains("/d: "), "{}", second.description);
        assert!(credentials.renewed(&[first, second.clone()]).await.is_none());
        assert_eq!(
            credentials.present().await.header,
            second.header,
            "the last one is kept"
        );
    }
}
