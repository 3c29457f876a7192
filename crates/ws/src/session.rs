//! Parses each message of a client into an action, from the message and the state of the session, without I/O.

use bitcoin::BlockHash;
use sdk_relay_config::Secret;
use sdk_relay_mesh_net::is_relay_id;
use sdk_relay_protocol::{
    Attach, ClientMessage, CloseCode, ErrorCode, Handshake, Refusal, RelayProof, Role, Subscribe, Sync, SyncReply,
    Topic, Topics, Unwatch, Watch, parse_client_message,
};
use sdk_relay_service::CAPABILITIES;

use super::begin::Begin;

/// Consecutive errors after which a client is taken for broken.
const ERRORS_IN_A_ROW: u32 = 10;
/// Longest `client_id`, in characters.
const MAX_CLIENT_ID: usize = 128;
/// Capabilities of a client, and bytes of each and of its version: what a relay announces is forwarded to every client.
const MAX_CAPABILITIES: usize = 64;
const MAX_WORD: usize = 64;
/// Blocks in `resume_after`.
const MAX_BLOCKS: usize = 32;
/// Longest `message_id` that is kept and sent back, in bytes.
const MAX_MESSAGE_ID: usize = 128;

/// The state of a client.
#[derive(Debug, Default)]
pub(super) struct Session {
    client: Option<Client>,
    errors_in_a_row: u32,
    watches: Vec<Watched>,
    /// Watches that were requested, or are to be attached, and not answered yet.
    ordered: usize,
    max_watches: usize,
    /// A relay's handshake whose proof is awaited.
    proving: Option<Handshake>,
    /// The accepted tokens, if the HTTP request had none: the handshake must contain one of them. Empty: none is
    /// required.
    tokens: Vec<Secret>,
}

/// A watch of this connection.
#[derive(Debug, PartialEq)]
struct Watched {
    id: String,
    /// It goes on without the connection.
    is_detached: bool,
}

/// A client after the handshake.
#[derive(Debug)]
struct Client {
    may_sync: bool,
    /// A relay that has proven its identity.
    is_linked: bool,
    topics: Topics,
    /// Requested capabilities that the relay does not support, until the client is notified.
    unknown: Vec<String>,
}

/// The action that a message requires.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    /// Accept the handshake, and begin at this position.
    Welcome { begin: Begin },
    /// The same, to a relay.
    WelcomeRelay {
        begin: Begin,
        relay_id: String,
        address: Option<String>,
        capabilities: Vec<String>,
        version: String,
    },
    /// Request the proof of a relay's identity.
    Challenge(Box<Handshake>),
    /// Check a relay's proof.
    Prove(RelayProof),
    /// Process a relay's answer to a request of this relay.
    Answered(SyncReply),
    /// Refuse the handshake with this reason, and close the connection with this code.
    Reject(String, CloseCode),
    /// Answer a ping.
    Pong,
    /// Answer with the set of topics; `added` are new, and get their first report.
    Subscribed {
        added: Vec<Topic>,
        /// Where the history of the tweaks is to begin.
        tweaks_from: Option<u32>,
    },
    /// Answer with the set of topics.
    Unsubscribed,
    /// Answer a sync request.
    Sync(Sync),
    /// Register a watch.
    Watch(Watch),
    /// End a watch.
    Unwatch(Unwatch),
    /// Attach to a detached watch.
    Attach(Attach),
    /// Answer with an error.
    Refuse(Refusal),
    /// Answer with an error, and close with this code.
    RefuseAndClose(Refusal, CloseCode),
}

impl Session {
    pub(super) fn new(max_watches: usize, tokens: Vec<Secret>) -> Self {
        Self {
            max_watches,
            tokens,
            ..Self::default()
        }
    }

    /// Whether the handshake is done.
    pub(super) fn is_open(&self) -> bool {
        self.client.is_some()
    }

    pub(super) fn topics(&self) -> Topics {
        self.client.as_ref().map_or_else(Topics::default, |c| c.topics)
    }

    /// Capabilities that the client requested and the relay does not support. They are ignored; the client is notified,
    /// so that a misspelt one is noticed.
    pub(super) fn unknown_capabilities(&mut self) -> Vec<String> {
        self.client
            .as_mut()
            .map_or_else(Vec::new, |c| std::mem::take(&mut c.unknown))
    }

    /// Whether there are watches, or may be soon.
    pub(super) fn has_watches(&self) -> bool {
        !self.watches.is_empty() || self.ordered > 0
    }

    /// Parses a text message.
    pub(super) fn read(&mut self, text: &str) -> Action {
        let message = parse_client_message(text);
        if self.client.is_none() {
            return match message {
                Ok(ClientMessage::Handshake(handshake)) if self.proving.is_none() => self.shake_hands(handshake),
                Ok(ClientMessage::RelayProof(proof)) if self.proving.is_some() => Action::Prove(proof),
                Ok(_) => Action::Reject("the first message must be a handshake".to_owned(), CloseCode::Protocol),
                Err(refusal) => Action::Reject(refusal.message, CloseCode::Protocol),
            };
        }
        match message.and_then(|m| self.understand(m)) {
            // Whether a watch is valid is known only after its keys have been checked.
            Ok(watch @ (Action::Watch(_) | Action::Attach(_))) => watch,
            Ok(action) => {
                self.errors_in_a_row = 0;
                action
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// The action for a refusal: the tenth in a row ends the connection.
    pub(super) fn refuse(&mut self, mut refusal: Refusal) -> Action {
        refusal.in_reply_to = refusal.in_reply_to.filter(|id| fits(id).is_ok());
        self.errors_in_a_row += 1;
        if self.errors_in_a_row >= ERRORS_IN_A_ROW {
            Action::RefuseAndClose(refusal, CloseCode::Protocol)
        } else {
            Action::Refuse(refusal)
        }
    }

    /// A watch was registered for this client, or it was attached to one. `is_detached`: the watch goes on without the
    /// connection.
    pub(super) fn watching(&mut self, id: String, is_detached: bool) {
        self.errors_in_a_row = 0;
        self.ordered = self.ordered.saturating_sub(1);
        if self.has_no(&id) {
            self.watches.push(Watched { id, is_detached });
        }
    }

    /// A watch has ended, or belongs to another connection now.
    pub(super) fn not_watching_any_more(&mut self, watch_id: &str) {
        self.watches.retain(|watch| watch.id != watch_id);
    }

    /// The watches that would go on without this connection.
    pub(super) fn detached(&self) -> impl Iterator<Item = &str> {
        let detached = self.watches.iter().filter(|watch| watch.is_detached);
        detached.map(|watch| watch.id.as_str())
    }

    fn has_no(&self, watch_id: &str) -> bool {
        self.watches.iter().all(|watch| watch.id != watch_id)
    }

    /// A watch was refused.
    pub(super) fn not_watching(&mut self) {
        self.ordered = self.ordered.saturating_sub(1);
    }

    fn shake_hands(&mut self, handshake: Handshake) -> Action {
        if let Err(reason) = check(&handshake) {
            return Action::Reject(reason, CloseCode::Protocol);
        }
        let shown = handshake.token.as_ref().map_or("", |t| t.expose());
        if !self.tokens.is_empty() && !self.tokens.iter().any(|token| token.is(shown)) {
            let reason = "token: missing or wrong; this relay requires auth.read_token or auth.admin_token".to_owned();
            return Action::Reject(reason, CloseCode::Policy);
        }
        if handshake.role == Some(Role::Relay) && handshake.identity.is_some() {
            // The token has been checked and has no length limit, so it is not kept while the proof is pending.
            let token = None;
            self.proving = Some(Handshake {
                token,
                ..handshake.clone()
            });
            return Action::Challenge(Box::new(handshake));
        }
        let Handshake {
            version,
            capabilities,
            resume_from,
            resume_after,
            role,
            relay_id,
            address,
            ..
        } = handshake;
        let begin = match resume_from {
            Some(event) => Begin::After(event),
            None if resume_after.is_empty() => Begin::Now,
            // They were checked.
            None => Begin::AfterBlocks(resume_after.iter().filter_map(|hash| hash.parse().ok()).collect()),
        };
        self.client = Some(Client {
            may_sync: capabilities.iter().any(|c| c == "sync"),
            is_linked: false,
            topics: capabilities.iter().filter_map(|c| Topic::from_name(c)).collect(),
            unknown: capabilities
                .iter()
                .filter(|c| !CAPABILITIES.contains(&c.as_str()))
                .cloned()
                .collect(),
        });
        match relay_id {
            Some(relay_id) if role == Some(Role::Relay) => Action::WelcomeRelay {
                begin,
                relay_id,
                address,
                capabilities,
                version,
            },
            _ => Action::Welcome { begin },
        }
    }

    /// The relay has proven its identity: it may sync, and receives no topics, because it would take their reports for
    /// requests.
    pub(super) fn proven(&mut self) -> Option<Handshake> {
        let handshake = self.proving.take()?;
        self.client = Some(Client {
            may_sync: true,
            is_linked: true,
            topics: Topics::default(),
            unknown: Vec::new(),
        });
        Some(handshake)
    }

    fn understand(&mut self, message: ClientMessage) -> Result<Action, Refusal> {
        let Some(client) = self.client.as_mut() else {
            return Err(internal());
        };
        match message {
            ClientMessage::Handshake(_) => Err(refusal(
                ErrorCode::InvalidField,
                "the handshake is already complete",
                None,
            )),
            ClientMessage::Ping(_) => Ok(Action::Pong),
            ClientMessage::SyncResponse(reply) if client.is_linked => Ok(Action::Answered(reply)),
            ClientMessage::SyncResponse(_) | ClientMessage::RelayProof(_) => {
                let message = "unexpected message: only authenticated relays may send this";
                Err(refusal(ErrorCode::InvalidField, message, None))
            }
            ClientMessage::Subscribe(Subscribe {
                subscriptions,
                from_height,
                ..
            }) => {
                if from_height.is_some() && !subscriptions.contains(&Topic::Tweaks) {
                    let message = "from_height: only supported with the topic tweaks";
                    return Err(refusal(ErrorCode::InvalidField, message, None));
                }
                let added = subscriptions.into_iter().filter(|t| client.topics.insert(*t)).collect();
                Ok(Action::Subscribed {
                    added,
                    tweaks_from: from_height,
                })
            }
            ClientMessage::Unsubscribe(Subscribe { subscriptions, .. }) => {
                for topic in subscriptions {
                    client.topics.remove(topic);
                }
                Ok(Action::Unsubscribed)
            }
            ClientMessage::Sync(sync) => {
                fits(&sync.message_id)?;
                if !client.may_sync {
                    let message = "sync: the handshake did not request the capability \"sync\"";
                    return Err(refusal(ErrorCode::NotAuthorized, message, Some(sync.message_id)));
                }
                if sync.relay_id.as_deref().is_some_and(|id| !is_relay_id(id)) {
                    let message = "relay_id: expected 1 to 64 printable ASCII characters without spaces";
                    return Err(refusal(ErrorCode::InvalidField, message, Some(sync.message_id)));
                }
                Ok(Action::Sync(sync))
            }
            ClientMessage::Watch(watch) => {
                watch.message_id.as_deref().map_or(Ok(()), fits)?;
                self.check_number(watch.message_id.as_deref())?;
                self.ordered += 1;
                Ok(Action::Watch(watch))
            }
            ClientMessage::Attach(attach) => {
                attach.message_id.as_deref().map_or(Ok(()), fits)?;
                // Of its own watches it releases matches.
                if self.has_no(&attach.watch_id) {
                    self.check_number(attach.message_id.as_deref())?;
                }
                self.ordered += 1;
                Ok(Action::Attach(attach))
            }
            ClientMessage::Unwatch(unwatch) => {
                unwatch.message_id.as_deref().map_or(Ok(()), fits)?;
                let Some(at) = self.watches.iter().position(|watch| watch.id == unwatch.watch_id) else {
                    let message = "watch_id: this connection has no watch with this id";
                    return Err(refusal(ErrorCode::InvalidField, message, unwatch.message_id));
                };
                self.watches.swap_remove(at);
                Ok(Action::Unwatch(unwatch))
            }
        }
    }
}

impl Session {
    /// Whether this connection may have another watch.
    fn check_number(&self, message_id: Option<&str>) -> Result<(), Refusal> {
        if self.watches.len() + self.ordered < self.max_watches {
            return Ok(());
        }
        let message = format!(
            "this connection has {} watches, the maximum: unwatch one first",
            self.max_watches
        );
        let in_reply_to = message_id.map(str::to_owned);
        Err(refusal(ErrorCode::TooManyWatches, &message, in_reply_to))
    }
}

/// A refusal from its parts.
pub(super) fn refusal(code: ErrorCode, message: &str, in_reply_to: Option<String>) -> Refusal {
    Refusal {
        code,
        message: message.to_owned(),
        in_reply_to,
    }
}

fn internal() -> Refusal {
    refusal(
        ErrorCode::Internal,
        "the state of this connection is inconsistent: please report this bug",
        None,
    )
}

fn fits(message_id: &str) -> Result<(), Refusal> {
    if message_id.len() <= MAX_MESSAGE_ID {
        return Ok(());
    }
    Err(refusal(
        ErrorCode::InvalidField,
        "message_id: expected at most 128 bytes",
        None,
    ))
}

fn check(handshake: &Handshake) -> Result<(), String> {
    let id = &handshake.client_id;
    if id.is_empty() || id.chars().count() > MAX_CLIENT_ID || id.chars().any(char::is_control) {
        return Err("client_id: expected 1 to 128 printable characters".to_owned());
    }
    let words = &handshake.capabilities;
    if words.len() > MAX_CAPABILITIES || words.iter().any(|word| word.len() > MAX_WORD) {
        return Err(format!(
            "capabilities: expected at most {MAX_CAPABILITIES} names of at most {MAX_WORD} bytes each"
        ));
    }
    let blocks = &handshake.resume_after;
    if blocks.len() > MAX_BLOCKS || blocks.iter().any(|hash| hash.parse::<BlockHash>().is_err()) {
        return Err(format!(
            "resume_after: expected at most {MAX_BLOCKS} block hashes, 32 bytes each in hex"
        ));
    }
    if !blocks.is_empty() && handshake.resume_from.is_some() {
        return Err("resume_after: not allowed together with resume_from".to_owned());
    }
    match major_of(&handshake.version) {
        Some(1) => {}
        Some(other) => {
            return Err(format!(
                "version: this relay supports version 1 of the API, not {other}"
            ));
        }
        None => return Err("version: expected MAJOR.MINOR.PATCH, such as 1.0.0".to_owned()),
    }
    if handshake.version.len() > MAX_WORD {
        return Err(format!("version: expected at most {MAX_WORD} bytes"));
    }
    let relay_id = handshake.relay_id.as_deref();
    if handshake.role == Some(Role::Relay) && !relay_id.is_some_and(is_relay_id) {
        return Err(
            "relay_id: required with role relay: expected 1 to 64 printable ASCII characters without spaces".to_owned(),
        );
    }
    if handshake
        .address
        .as_ref()
        .is_some_and(|a| a.len() > 255 || !a.bytes().all(|b| b.is_ascii_graphic()))
    {
        return Err("address: expected HOST:PORT".to_owned());
    }
    Ok(())
}

/// The major number of a semantic version (semver.org, section 2, with an optional pre-release or build part).
fn major_of(version: &str) -> Option<u64> {
    let core = version.split(['-', '+']).next()?;
    let mut numbers = core.split('.');
    let mut number = || {
        let part = numbers.next()?;
        let fits = part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
        if fits { part.parse::<u64>().ok() } else { None }
    };
    let (major, _, _) = (number()?, number()?, number()?);
    numbers.next().is_none().then_some(major)
}

#[cfg(test)]
mod tests;
