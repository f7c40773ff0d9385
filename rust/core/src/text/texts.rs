//! [`Texts`]: strings of bytes, borrowed from two arrays.

use crate::Error;
use crate::error::{At, try_vec};

/// Strings of bytes, one after the other: string `i` is `bytes[offsets[i]..offsets[i + 1]]`.
#[derive(Clone, Debug)]
pub struct Texts<'a> {
    name: &'static str,
    bytes: &'a [u8],
    /// A copy, since an array can change during a call.
    offsets: Vec<usize>,
}

impl<'a> Texts<'a> {
    /// Checks that the offsets ascend within the bytes. `name` is what errors call the bytes.
    ///
    /// # Errors
    /// [`Error::Incompatible`] if there are no offsets, [`Error::Value`] if one is out of order or range, [`Error::OutOfMemory`].
    pub fn new(name: &'static str, bytes: &'a [u8], offsets: &[i64]) -> Result<Self, Error> {
        if offsets.is_empty() {
            let problem =
                "offsets is empty; expected one more offset than strings, [0] for no strings".to_owned();
            return Err(Error::Incompatible { problem });
        }
        let (mut checked, mut last) = (try_vec(0, offsets.len())?, 0);
        for (index, (&offset, end)) in offsets.iter().zip(&mut checked).enumerate() {
            *end = match usize::try_from(offset) {
                Ok(end) if end >= last && end <= bytes.len() => end,
                _ => {
                    let (at, most) = (At::Position(index), bytes.len());
                    let expected = format!("ascending numbers from {last} to {most}, the length of {name}");
                    return Err(Error::Value { name: "offsets", value: offset.to_string(), at, expected });
                }
            };
            last = *end;
        }
        Ok(Texts { name, bytes, offsets: checked })
    }

    /// Number of strings.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are no strings.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of string `index`.
    ///
    /// # Panics
    /// If there is no such string.
    pub fn text(&self, index: usize) -> &'a [u8] {
        &self.bytes[self.offsets[index]..self.offsets[index + 1]]
    }

    /// What errors call the bytes.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }
}
