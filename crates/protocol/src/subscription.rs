//! Topics, and subscriptions to them.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A kind of message that a client can subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// Payments, blocks, relays.
    Notifications,
    /// `HealthSync` of the relay.
    Health,
    /// `MetricsSync` of the relay.
    Metrics,
    /// `StateSync` of the relay.
    Sync,
    /// Tweaks of each block, for clients that scan themselves.
    Tweaks,
}

impl Topic {
    /// All topics, in the order in which responses list them.
    pub const ALL: [Self; 5] = [
        Self::Notifications,
        Self::Health,
        Self::Metrics,
        Self::Sync,
        Self::Tweaks,
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Notifications => "notifications",
            Self::Health => "health",
            Self::Metrics => "metrics",
            Self::Sync => "sync",
            Self::Tweaks => "tweaks",
        }
    }

    /// The topic with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Topics(u8);

impl Topics {
    /// Whether the topic is in the set.
    pub fn contains(self, topic: Topic) -> bool {
        self.0 & Self::bit(topic) != 0
    }

    /// Adds a topic; `true` if it was not in the set.
    pub fn insert(&mut self, topic: Topic) -> bool {
        let new = !self.contains(topic);
        self.0 |= Self::bit(topic);
        new
    }

    /// Removes a topic; `true` if it was in the set.
    pub fn remove(&mut self, topic: Topic) -> bool {
        let there = self.contains(topic);
        self.0 &= !Self::bit(topic);
        there
    }

    /// The topics of the set, in the order of [`Topic::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Topic> {
        Topic::ALL.into_iter().filter(move |t| self.contains(*t))
    }

    fn bit(topic: Topic) -> u8 {
        1 << topic as u8
    }
}

impl FromIterator<Topic> for Topics {
    fn from_iter<I: IntoIterator<Item = Topic>>(iter: I) -> Self {
        let mut set = Self::default();
        for topic in iter {
            set.insert(topic);
        }
        set
    }
}

/// `subscribe`, from the client.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Subscribe {
    /// Topics to add.
    pub subscriptions: Vec<Topic>,
    /// Only with the topic `tweaks`: first block of its history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_height: Option<u32>,
    /// As in the handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<u64>,
}

/// `unsubscribe`, from the client: the same shape, with the topics to remove.
pub type Unsubscribe = Subscribe;

/// `subscribe_response` and `unsubscribe_response`, to the client.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct SubscribeResponse {
    /// `subscribed` or `unsubscribed`.
    pub status: String,
    /// All topics that the client is now subscribed to.
    pub subscriptions: Vec<Topic>,
    /// This relay's name.
    pub relay_id: String,
    /// Unix seconds.
    pub timestamp: u64,
}

/// The same shape as [`SubscribeResponse`].
pub type UnsubscribeResponse = SubscribeResponse;
