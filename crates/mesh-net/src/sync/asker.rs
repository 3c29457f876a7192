//! The sender of a `sync` request: what it has proven, never what its message claims.

/// The other side of a sync.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asker {
    /// A relay that has proven this key, under this name.
    Proven {
        /// Its name.
        relay_id: String,
        /// Its key in hex.
        public_key: String,
    },
    /// The connection with this number, whatever name the peer uses.
    Connection(u64),
}

impl Asker {
    /// Its name in the history: the proven name, otherwise the `connection_id`.
    pub fn name(&self) -> String {
        match self {
            Self::Proven { relay_id, .. } => relay_id.clone(),
            Self::Connection(number) => connection_id(*number),
        }
    }

    /// Whether it has proven its key.
    pub fn is_proven(&self) -> bool {
        matches!(self, Self::Proven { .. })
    }
}

/// The `connection_id` of a connection.
pub fn connection_id(number: u64) -> String {
    format!("conn-{number}")
}
