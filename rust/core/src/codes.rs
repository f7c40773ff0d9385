//! [`Codes`]: a checked view of `n_rows` rows of `n_bytes` bytes, as arrays hold them.

use crate::Error;

/// Rows of packed bits, borrowed from an array. Row `i` starts `i * stride` bytes into the buffer, so a slice
/// of rows or of columns of a C-contiguous array is viewed without a copy.
///
/// ```text
/// stride = 5, n_bytes = 3:   | a0 a1 a2 .. .. | b0 b1 b2 .. .. | c0 c1 c2 |
/// ```
///
/// The kernels treat the bytes as data only: no index, length or address is computed from them, so an array
/// that another thread changes during a call can spoil the answer but not the process.
#[derive(Clone, Copy, Debug)]
pub struct Codes<'a> {
    bytes: &'a [u8],
    n_rows: usize,
    n_bytes: usize,
    stride: usize,
}

impl<'a> Codes<'a> {
    /// The longest row: with more bytes a Hamming distance would not fit an `int32`.
    pub const MAX_BYTES: usize = i32::MAX as usize / 8;

    /// Contiguous rows.
    ///
    /// # Errors
    /// As [`Codes::strided`].
    pub fn new(bytes: &'a [u8], n_rows: usize, n_bytes: usize) -> Result<Self, Error> {
        Codes::strided(bytes, n_rows, n_bytes, n_bytes)
    }

    /// Rows that start `stride` bytes apart (rows may overlap: an array of stride 0 repeats one row).
    ///
    /// # Errors
    /// [`Error::Range`] for rows of unusable length, [`Error::Length`] if `bytes` ends before the last row does.
    pub fn strided(bytes: &'a [u8], n_rows: usize, n_bytes: usize, stride: usize) -> Result<Self, Error> {
        if !(1..=Codes::MAX_BYTES).contains(&n_bytes) {
            let (unit, high) = ("bytes per row", Codes::MAX_BYTES);
            return Err(Error::Range { name: "codes", unit, given: n_bytes, low: 1, high });
        }
        let needed = match n_rows {
            0 => 0,
            _ => (n_rows - 1).saturating_mul(stride).saturating_add(n_bytes),
        };
        if needed > bytes.len() {
            return Err(Error::Length { name: "codes", unit: "bytes", given: bytes.len(), expected: needed });
        }
        Ok(Codes { bytes: &bytes[..needed], n_rows, n_bytes, stride })
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Bytes per row.
    pub fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// Bytes from the start of one row to the start of the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// 64-bit words that hold a row, the last one padded with zeros.
    pub(crate) fn n_words(&self) -> usize {
        self.n_bytes.div_ceil(8)
    }

    /// The bytes of row `index`.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    pub fn row(&self, index: usize) -> &'a [u8] {
        assert!(index < self.n_rows, "row {index} of {}", self.n_rows);
        let start = index * self.stride;
        &self.bytes[start..start + self.n_bytes]
    }

    /// Rows `start..end` as a view of their own.
    ///
    /// # Panics
    /// If the range is not within the rows.
    pub fn slice(&self, start: usize, end: usize) -> Codes<'a> {
        assert!(start <= end && end <= self.n_rows, "rows {start}..{end} of {}", self.n_rows);
        let bytes = match end - start {
            0 => &[],
            n => &self.bytes[start * self.stride..][..(n - 1) * self.stride + self.n_bytes],
        };
        Codes { bytes, n_rows: end - start, ..*self }
    }

    /// Tells the CPU that rows `start..end`, as far as there are such rows, will be read soon.
    #[inline]
    pub(crate) fn prefetch(&self, start: usize, end: usize) {
        if start < end.min(self.n_rows) {
            for line in self.slice(start, end.min(self.n_rows)).bytes.chunks(64) {
                prefetch(line, 0);
            }
        }
    }

    /// The bytes from the first row to the end of the last, gaps included.
    pub(crate) fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Tells the CPU that an element of a slice, if there is one, will be read soon.
#[inline(always)]
pub(crate) fn prefetch<T>(slice: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(element) = slice.get(index) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: the instructions of SSE are part of x86-64, and a prefetch does not touch what it points to.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(element).cast()) };
    }
    #[cfg(target_arch = "aarch64")]
    if let Some(element) = slice.get(index) {
        // SAFETY: a prefetch does not touch what it points to.
        unsafe {
            std::arch::asm!("prfm pldl2keep, [{}]", in(reg) element, options(nostack, readonly, preserves_flags))
        };
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = (slice, index);
}

/// Checks that two operands have rows of the same length; each comes with its name.
pub(crate) fn check_same_bytes(
    a: (&'static str, Codes<'_>),
    b: (&'static str, Codes<'_>),
) -> Result<(), Error> {
    if a.1.n_bytes() == b.1.n_bytes() {
        return Ok(());
    }
    let (first, second) = ((a.0, a.1.n_bytes()), (b.0, b.1.n_bytes()));
    let hint = "were they packed with the same number of bits?";
    Err(Error::Mismatch { unit: "bytes per row", first, second, hint })
}

/// Calls `receive(index, word)` for each 64-bit word of a row; the last one is padded with zero bytes.
#[inline(always)]
pub(crate) fn for_each_word(row: &[u8], mut receive: impl FnMut(usize, u64)) {
    let (words, tail) = row.as_chunks();
    for (index, word) in words.iter().enumerate() {
        receive(index, u64::from_ne_bytes(*word));
    }
    if !tail.is_empty() {
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        receive(words.len(), u64::from_ne_bytes(last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_where_the_stride_puts_them() {
        let bytes: Vec<u8> = (0..13).collect();
        let codes = Codes::strided(&bytes, 3, 3, 5).unwrap();
        assert_eq!(codes.row(0), [0, 1, 2]);
        assert_eq!(codes.row(2), [10, 11, 12]);
        let tail = codes.slice(1, 3);
        assert_eq!((tail.n_rows(), tail.row(0), tail.row(1)), (2, codes.row(1), codes.row(2)));
        assert_eq!(codes.slice(3, 3).n_rows(), 0);
    }

    #[test]
    fn a_view_never_reaches_past_its_buffer() {
        assert_eq!(
            Codes::strided(&[0; 12], 3, 3, 5).unwrap_err(),
            Error::Length { name: "codes", unit: "bytes", given: 12, expected: 13 }
        );
        assert!(Codes::strided(&[0; 12], usize::MAX, 3, usize::MAX).is_err());
        assert!(Codes::new(&[], 0, 0).is_err());
        assert!(Codes::new(&[], 0, Codes::MAX_BYTES + 1).is_err());
        assert_eq!(Codes::new(&[], 0, 8).unwrap().n_rows(), 0);
    }
}
