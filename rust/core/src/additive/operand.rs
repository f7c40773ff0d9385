//! Codebooks and vectors as the kernels take them.

use super::{LANES, ROWS_PER_GROUP, products};
use crate::adc::{Codebooks, Vectors};
use crate::error::{check_len, try_vec};
use crate::{At, Error, Level};

/// Codebooks of the dimension of the vectors, in the layouts of the kernels.
pub(super) struct Operand {
    pub n_books: usize,
    pub n_codewords: usize,
    /// A multiple of [`LANES`], as dimensions are padded with zeros.
    pub n_dims: usize,
    /// Codewords by 16 dimensions: `[book][codeword][dim / 16]`.
    codewords: Vec<[f32; LANES]>,
    /// Codewords times -2 by dimensions, 16 codewords together: `[book][codeword / 16][dim]`. Padding is zero.
    panels: Vec<[f32; LANES]>,
    /// Their squared lengths, infinite for padding: `[book][codeword / 16]`.
    squares: Vec<[f32; LANES]>,
}

impl Operand {
    pub fn new(codebooks: Codebooks<'_>) -> Result<Self, Error> {
        let (n_books, n_codewords) = (codebooks.n_subspaces(), codebooks.n_codewords());
        let n_dims = codebooks.n_dims().next_multiple_of(LANES);
        let (n_groups, n_panels) = (n_dims / LANES, n_codewords.div_ceil(LANES));
        let mut codewords = try_vec([0.0; LANES], n_books * n_codewords * n_groups)?;
        let mut panels = try_vec([0.0; LANES], n_books * n_panels * n_dims)?;
        let mut squares = try_vec([f32::INFINITY; LANES], n_books * n_panels)?;
        for (index, codeword) in codebooks.codewords().enumerate() {
            let padded = codewords[index * n_groups..][..n_groups].as_flattened_mut();
            padded[..codeword.len()].copy_from_slice(codeword);
            let (panel, lane) =
                (index / n_codewords * n_panels + index % n_codewords / LANES, index % n_codewords % LANES);
            let square: f64 = codeword.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
            squares[panel][lane] = square as f32;
            for (coordinates, value) in panels[panel * n_dims..][..n_dims].iter_mut().zip(codeword) {
                coordinates[lane] = -2.0 * value;
            }
        }
        Ok(Operand { n_books, n_codewords, n_dims, codewords, panels, squares })
    }

    /// Codewords with padding, a multiple of [`LANES`].
    pub fn width(&self) -> usize {
        self.n_codewords.next_multiple_of(LANES)
    }

    /// The coordinates of a codeword.
    pub fn codeword(&self, book: usize, codeword: usize) -> &[[f32; LANES]] {
        let n_groups = self.n_dims / LANES;
        &self.codewords[(book * self.n_codewords + codeword) * n_groups..][..n_groups]
    }

    /// The coordinates of the codewords of a code.
    pub fn codewords_of<'a>(&'a self, code: &'a [u8]) -> impl Iterator<Item = &'a [[f32; LANES]]> + Clone {
        code.iter().enumerate().map(|(book, &codeword)| self.codeword(book, codeword as usize))
    }

    /// The largest squared length of a codeword of a codebook.
    pub fn largest_square(&self, book: usize) -> f32 {
        let n_panels = self.width() / LANES;
        let squares = self.squares[book * n_panels..][..n_panels].as_flattened();
        squares[..self.n_codewords].iter().fold(0.0, |largest, square| square.max(largest))
    }

    /// Checks that codes, from a row on, name codewords.
    pub fn check_codes(&self, codes: &[u8], first: usize) -> Result<(), Error> {
        match codes.iter().position(|code| usize::from(*code) >= self.n_codewords) {
            None => Ok(()),
            Some(index) => Err(Error::Value {
                name: "codes",
                value: codes[index].to_string(),
                at: At::Cell(first + index / self.n_books, index % self.n_books),
                expected: format!("values from 0 to {}", self.n_codewords - 1),
            }),
        }
    }

    fn panels_of(&self, book: usize) -> &[[f32; LANES]] {
        let len = self.width() / LANES * self.n_dims;
        &self.panels[book * len..][..len]
    }

    /// Writes `|c|^2 - 2 x . c` for each codeword `c` of a codebook and each of a group of vectors; infinite for padding.
    pub fn unaries(&self, level: Level, group: &[f32], book: usize, out: &mut [f32]) {
        let n_panels = self.width() / LANES;
        let squares = &self.squares[book * n_panels..][..n_panels];
        products(level, group, self.n_dims, self.panels_of(book), squares, out);
    }

    /// Calls `take(codeword, row)` with `2 c . c_k` over the codewords `k` of a codebook, for each codeword `c` of another one; the
    /// entries of padding are zero.
    pub fn pairs(
        &self,
        level: Level,
        book: usize,
        other: usize,
        mut take: impl FnMut(usize, &[f32]),
    ) -> Result<(), Error> {
        let start = try_vec([0.0; LANES], self.width() / LANES)?;
        let mut group = try_vec(0.0, ROWS_PER_GROUP * self.n_dims)?;
        let mut out = try_vec(0.0, ROWS_PER_GROUP * self.width())?;
        for first in (0..self.n_codewords).step_by(ROWS_PER_GROUP) {
            let codewords = first..self.n_codewords.min(first + ROWS_PER_GROUP);
            for (row, codeword) in group.chunks_exact_mut(self.n_dims).zip(codewords.clone()) {
                let values = self.codeword(other, codeword).as_flattened();
                row.iter_mut().zip(values).for_each(|(row, value)| *row = -value);
            }
            products(level, &group, self.n_dims, self.panels_of(book), &start, &mut out);
            for (codeword, row) in codewords.zip(out.chunks_exact(self.width())) {
                take(codeword, row);
            }
        }
        Ok(())
    }
}

/// Checks that vectors have the dimensions of codebooks, and that outputs have an element per codeword and per vector.
pub(super) fn check(
    x: Vectors<'_>,
    codebooks: Codebooks<'_>,
    codes: &[u8],
    errors: &[f32],
) -> Result<(), Error> {
    if x.n_dims() != codebooks.n_dims() {
        let (first, second) = (("x", x.n_dims()), ("codebooks", codebooks.n_dims()));
        let hint = "were the codebooks trained on such vectors?";
        return Err(Error::Mismatch { unit: "dimensions", first, second, hint });
    }
    let (n_books, high) = (codebooks.n_subspaces(), super::MAX_CODEBOOKS);
    if n_books > high {
        return Err(Error::Range { name: "codebooks", unit: "codebooks", given: n_books, low: 1, high });
    }
    check_len("codes", "elements", codes.len(), x.n_rows().saturating_mul(n_books))?;
    check_len("errors", "elements", errors.len(), x.n_rows())
}

/// Copies a row and pads it with zeros.
pub(super) fn copy_padded(row: &[f32], padded: &mut [f32]) {
    let (values, padding) = padded.split_at_mut(row.len());
    values.copy_from_slice(row);
    padding.fill(0.0);
}
