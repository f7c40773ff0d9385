//! [`Sets`]: sets of tokens, borrowed from two arrays.

use crate::Error;
use crate::error::At;

/// Sets of tokens, one after the other: set `i` is `tokens[offsets[i]..offsets[i + 1]]`.
#[derive(Clone, Debug)]
pub struct Sets<'a> {
    tokens: &'a [u64],
    /// A copy, since an array can change during a call.
    offsets: Vec<usize>,
}

impl<'a> Sets<'a> {
    /// Checks that the offsets ascend within the tokens.
    ///
    /// # Errors
    /// [`Error::Incompatible`] if there are no offsets, [`Error::Value`] if one is out of order or range, [`Error::OutOfMemory`].
    pub fn new(tokens: &'a [u64], offsets: &[i64]) -> Result<Self, Error> {
        if offsets.is_empty() {
            let problem = "offsets is empty; expected one more offset than sets, [0] for no sets".to_owned();
            return Err(Error::Incompatible { problem });
        }
        let mut checked = Vec::new();
        checked.try_reserve_exact(offsets.len())?;
        let mut last = 0;
        for (index, &offset) in offsets.iter().enumerate() {
            match usize::try_from(offset) {
                Ok(end) if end >= last && end <= tokens.len() => {
                    checked.push(end);
                    last = end;
                }
                _ => {
                    let (name, at, most) = ("offsets", At::Position(index), tokens.len());
                    let expected = format!("ascending numbers from {last} to {most}, the number of tokens");
                    return Err(Error::Value { name, value: offset.to_string(), at, expected });
                }
            }
        }
        Ok(Sets { tokens, offsets: checked })
    }

    /// Number of sets.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are no sets.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tokens of set `index`.
    ///
    /// # Panics
    /// If there is no such set.
    pub fn set(&self, index: usize) -> &'a [u64] {
        &self.tokens[self.offsets[index]..self.offsets[index + 1]]
    }
}
