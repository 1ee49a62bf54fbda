//! What is still to come of a body, in either direction: how much, or the chunk scanner's place. Moves no bytes.

use super::chunked::{Malformed, Scanner};
use super::head::Framing;

/// The rest of a body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Body {
    /// Nothing more.
    #[default]
    Done,
    /// So many bytes, at least one.
    Length(u64),
    /// Chunks.
    Chunked(Scanner),
    /// Whatever comes before the end of the connection.
    UntilClose,
}

impl Body {
    /// A body from its first byte.
    pub fn framed(framing: Framing) -> Self {
        match framing {
            Framing::Empty | Framing::Length(0) => Self::Done,
            Framing::Length(bytes) => Self::Length(bytes),
            Framing::Chunked => Self::Chunked(Scanner::default()),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// Nothing more is to come.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// How many of `bytes` belong to the body; shows the data among them.
    pub fn take(&mut self, bytes: &[u8], mut data: impl FnMut(&[u8])) -> Result<usize, Malformed> {
        match self {
            Self::Done => Ok(0),
            Self::UntilClose => {
                data(bytes);
                Ok(bytes.len())
            }
            Self::Length(left) => {
                let taken = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                data(&bytes[..taken]);
                self.skip(taken);
                Ok(taken)
            }
            Self::Chunked(scanner) => {
                let taken = scanner.scan(bytes, data)?;
                if scanner.is_done() {
                    *self = Self::Done;
                }
                Ok(taken)
            }
        }
    }

    /// Bytes that may pass unseen.
    pub fn unseen(&self) -> u64 {
        match self {
            Self::Done | Self::UntilClose => 0,
            Self::Length(left) => *left,
            Self::Chunked(scanner) => scanner.data_left(),
        }
    }

    /// So many bytes passed unseen, at most [`Self::unseen`].
    pub fn skip(&mut self, bytes: usize) {
        match self {
            Self::Done | Self::UntilClose => {}
            Self::Length(left) => {
                *left -= bytes as u64;
                if *left == 0 {
                    *self = Self::Done;
                }
            }
            Self::Chunked(scanner) => scanner.skip_data(bytes),
        }
    }
}
