//! The content of a file, as programs see it and as it is durable.

/// A write is durable as a whole or not at all only within a sector.
const SECTOR: usize = 512;

/// A file, whatever its names.
#[derive(Debug, Default)]
pub(crate) struct Inode {
    pub(crate) content: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    pub(crate) is_locked: bool,
}

#[derive(Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Size(usize),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                if let Some(place) = content.get_mut(*offset..end) {
                    place.copy_from_slice(bytes);
                }
            }
            Self::Size(size) => content.resize(*size, 0),
        }
    }
}

impl Inode {
    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let mut rest = bytes;
        let mut at = offset;
        while !rest.is_empty() {
            let (sector, later) = rest.split_at(rest.len().min(SECTOR - at % SECTOR));
            self.change(Change::Write {
                offset: at,
                bytes: sector.to_vec(),
            });
            at += sector.len();
            rest = later;
        }
    }

    pub(crate) fn set_len(&mut self, size: usize) {
        self.change(Change::Size(size));
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.content);
        self.unsynced.push(change);
    }

    pub(crate) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// The file after a power cut.
    pub(crate) fn after_power_cut(&self, survives: &mut dyn FnMut() -> bool) -> Self {
        let mut content = self.durable.clone();
        for change in &self.unsynced {
            if survives() {
                change.apply(&mut content);
            }
        }
        Self {
            durable: content.clone(),
            content,
            unsynced: Vec::new(),
            is_locked: false,
        }
    }
}
