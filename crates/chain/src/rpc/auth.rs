//! Credentials for the node, and the cookie file that changes at each of its starts.

use std::{fmt, io::Read as _, path::PathBuf, sync::Mutex, sync::PoisonError};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::header::HeaderValue;
use sdk_relay_platform::blocking;
use zeroize::Zeroizing;

use crate::joined::joined;

/// A cookie is `__cookie__:` and 64 hex digits; a file that is longer than this is something else.
const MAX_COOKIE_BYTES: u64 = 1024;

/// Credentials for the node.
#[derive(Clone)]
pub enum Auth {
    /// The file that the node writes at each start (`.cookie` in its data directory).
    CookieFile(PathBuf),
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
            Self::UserPassword { user, .. } => f
                .debug_struct("UserPassword")
                .field("user", user)
                .finish_non_exhaustive(),
            Self::None => f.write_str("None"),
        }
    }
}

/// Credentials of one request.
#[derive(Clone)]
pub(super) struct Presented {
    /// Value of the header `Authorization`, if there are credentials.
    pub(super) header: Option<HeaderValue>,
    /// Describes the credentials for an error message, without a secret.
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

    /// New credentials after the node refused `refused`; `None` if they have not changed.
    pub(super) async fn renewed(&self, refused: &Presented) -> Option<Presented> {
        if !matches!(self.auth, Auth::CookieFile(_)) {
            return None;
        }
        let now = self.read().await;
        (now.header.is_some() && now.header != refused.header).then_some(now)
    }

    /// Drops the cached cookie: a restarted node has a new one.
    pub(super) fn forget(&self) {
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn read(&self) -> Presented {
        let presented = match &self.auth {
            Auth::None => Presented {
                header: None,
                description: "no credentials were sent: none are configured for this address".to_owned(),
            },
            Auth::UserPassword { user, password } => Presented {
                header: basic(&Zeroizing::new(format!("{user}:{}", password.as_str()))),
                description: format!("user {user:?} and its password"),
            },
            Auth::CookieFile(path) => match cookie(path.clone()).await {
                Ok(cookie) => Presented {
                    header: basic(cookie.trim_end()),
                    description: format!("the cookie in {}", path.display()),
                },
                Err(reason) => {
                    let description = format!("cannot read the cookie file {}: {reason}", path.display());
                    return Presented {
                        header: None,
                        description,
                    };
                }
            },
        };
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = Some(presented.clone());
        presented
    }
}

/// Shows where the credentials come from, not what they are.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.auth.fmt(f)
    }
}

async fn cookie(path: PathBuf) -> Result<Zeroizing<String>, String> {
    let read = move || {
        let mut text = Zeroizing::new(String::new());
        sdk_relay_files::open_regular(&path)?
            .take(MAX_COOKIE_BYTES)
            .read_to_string(&mut text)?;
        Ok::<_, std::io::Error>(text)
    };
    match joined(blocking::spawn(read).await) {
        Some(Ok(text)) if text.trim_end().is_empty() => Err("it is empty".to_owned()),
        Some(Ok(text)) => Ok(text),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("the runtime is shutting down".to_owned()),
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
        assert!(credentials.renewed(&first).await.is_none());

        std::fs::write(&path, "__cookie__:2").unwrap();
        assert_eq!(credentials.present().await.header, first.header);
        let second = credentials.renewed(&first).await.unwrap();
        assert_ne!(second.header, first.header);
        assert_eq!(credentials.present().await.header, second.header);
    }
}
