//! Who asks over `sync`: what was proven, and never what a message claims.

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
    /// A connection of this number, whatever the other end calls itself.
    Connection(u64),
}

impl Asker {
    /// As the history names it: the proven name, else the `connection_id`.
    pub fn name(&self) -> String {
        match self {
            Self::Proven { relay_id, .. } => relay_id.clone(),
            Self::Connection(number) => connection_id(*number),
        }
    }

    /// Whether it has proven who it is.
    pub fn is_proven(&self) -> bool {
        matches!(self, Self::Proven { .. })
    }
}

/// The name of the connection of this number.
pub fn connection_id(number: u64) -> String {
    format!("conn-{number}")
}
