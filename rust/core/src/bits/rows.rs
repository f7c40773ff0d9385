//! [`Rows`]: rows of elements of any size, borrowed from an array.

use crate::Error;

/// Rows of bytes; row `i` starts `i * stride` bytes into the buffer. Elements of several bytes need no alignment.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    bytes: &'a [u8],
    pub(super) n_rows: usize,
    pub(super) n_bytes: usize,
    stride: usize,
}

impl<'a> Rows<'a> {
    /// `n_rows` rows of `n_bytes` bytes, `stride` bytes apart.
    ///
    /// # Errors
    /// [`Error::Length`] if `bytes` ends before the last row does.
    pub fn new(bytes: &'a [u8], n_rows: usize, n_bytes: usize, stride: usize) -> Result<Self, Error> {
        let needed = match n_rows {
            0 => 0,
            _ => (n_rows - 1).saturating_mul(stride).saturating_add(n_bytes),
        };
        if needed > bytes.len() {
            return Err(Error::Length { name: "rows", unit: "bytes", given: bytes.len(), expected: needed });
        }
        Ok(Rows { bytes: &bytes[..needed], n_rows, n_bytes, stride })
    }

    /// The bytes from the first row to the end of the last, gaps included.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// All rows as one, if there are no gaps between them.
    pub(super) fn flat(self) -> Option<Self> {
        let n_bytes = self.bytes.len();
        (self.stride == self.n_bytes).then_some(Rows { n_rows: 1, n_bytes, stride: n_bytes, ..self })
    }

    /// The bytes from the start of row `index` to the end of the buffer.
    #[inline(always)]
    pub(super) fn bytes_from_row(&self, index: usize) -> &'a [u8] {
        &self.bytes[index * self.stride..]
    }

    /// The rows from `start` on, at most `n_rows` of them.
    pub(super) fn rows(&self, start: usize, n_rows: usize) -> Self {
        let n_rows = n_rows.min(self.n_rows - start);
        let bytes = &self.bytes_from_row(start)[..(n_rows - 1) * self.stride + self.n_bytes];
        Rows { bytes, n_rows, ..*self }
    }

    /// The columns from `start` on, at most `n_bytes` of them.
    pub(super) fn columns(&self, start: usize, n_bytes: usize) -> Self {
        let n_bytes = n_bytes.min(self.n_bytes - start);
        let bytes = &self.bytes[start..][..(self.n_rows - 1) * self.stride + n_bytes];
        Rows { bytes, n_bytes, ..*self }
    }
}
