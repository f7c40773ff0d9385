//! Products of bytes and signs: how images, or integers of up to eight bits, enter a network of signs.
//!
//! The signs of some rows of the right-hand side lie side by side, so that a lane belongs to one row: nothing is summed across a
//! register. As a rule they are bytes, four features of each of sixteen rows:
//!
//! ```text
//! quad 0   a0 a1 a2 a3   b0 b1 b2 b3   ..   p0 p1 p2 p3       features 0..4 of rows 0..16, a byte of -1 or +1 each
//! quad 1   a4 a5 a6 a7   b4 b5 b6 b7   ..   p4 p5 p6 p7       features 4..8
//! ..                                                          zeros after the last feature and the last row
//! ```
//!
//! One broadcast of four bytes meets all of them, and the left-hand side comes in groups of rows, four bytes of each of them
//! together. At AVX2 many signs stay bits: see `subsets`.

use std::ops::Range;

use super::operand::{Matrix, check_range};
use super::output::{Finish, Output, RowsOut};
use super::pieces::{COLUMNS, Cut, Piece, Rows, TASK_ROWS};
use super::portable;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512, subsets::Subsets};
use crate::error::try_vec;
use crate::level::at_level;
#[cfg(target_arch = "x86_64")]
use crate::popcount::{self, tile, tile::Lanes};
use crate::{Codes, Error, Level, Parallel};

/// Rows of the right-hand side that lie side by side.
pub(super) const LANES: usize = 16;

/// Rows of the left-hand side that kernels take at a time, unless there is only one.
pub(super) const GROUP: usize = 4;

/// Rows of the right-hand side that pieces do not part: a multiple of those that lie side by side, however they do.
const TOGETHER: usize = 64;

/// Bytes of the left-hand side that a task takes on, if that is not less than two groups of rows: the second-level cache
/// keeps them.
const TASK_BYTES: usize = 1 << 18;

/// Products of a task at most, so that an interrupted call ends soon.
const TASK_PRODUCTS: usize = 1 << 29;

/// Four features of each of sixteen rows.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Quads(pub [[i8; 4]; LANES]);

/// The right-hand side as the kernels of a level take it.
pub(super) enum SignTiles {
    /// Tiles of [`LANES`] rows.
    Quads { tiles: Vec<Quads>, n_quads: usize },
    /// Steps of a Hamming tile, of so many words a row.
    #[cfg(target_arch = "x86_64")]
    Bits { steps: Vec<Lanes>, n_words: usize },
}

impl SignTiles {
    /// From rows whose bytes begin anew after `n_channels` bits.
    pub fn new(
        level: Level,
        rows: Codes<'_>,
        n_channels: usize,
        parallel: &Parallel<'_>,
    ) -> Result<Self, Error> {
        at_level!(level, sign_tiles(level, rows, n_channels, parallel))
    }

    /// Tiles of bytes, and the quads in each.
    pub fn as_quads(&self) -> (&[Quads], usize) {
        match self {
            SignTiles::Quads { tiles, n_quads } => (tiles, *n_quads),
            #[cfg(target_arch = "x86_64")]
            SignTiles::Bits { .. } => unreachable!("only AVX2 makes them, and does not ask"),
        }
    }

    pub fn quads(rows: Codes<'_>, n_channels: usize, parallel: &Parallel<'_>) -> Result<Self, Error> {
        let n_quads = n_features(rows, n_channels).div_ceil(4);
        let mut tiles = try_vec(Quads([[0; 4]; LANES]), rows.n_rows().div_ceil(LANES) * n_quads)?;
        let parallel = parallel.for_words(tiles.len() * LANES);
        parallel.for_each_chunk(&mut tiles, n_quads, |tile, quads| {
            let first = tile * LANES;
            for lane in 0..LANES.min(rows.n_rows() - first) {
                for (feature, bit) in bits_of(rows.row(first + lane), n_channels).enumerate() {
                    quads[feature / 4].0[lane][feature % 4] = 2 * bit as i8 - 1;
                }
            }
        })?;
        Ok(SignTiles::Quads { tiles, n_quads })
    }

    #[cfg(target_arch = "x86_64")]
    pub fn bits(
        level: Level,
        rows: Codes<'_>,
        n_channels: usize,
        parallel: &Parallel<'_>,
    ) -> Result<Self, Error> {
        let n_bytes = n_features(rows, n_channels).div_ceil(8);
        let (step_rows, n_words) = (popcount::step_rows(level), n_bytes.div_ceil(8));
        let step_words = step_rows / tile::LANES * n_words;
        let mut steps = try_vec(Lanes([0; tile::LANES]), rows.n_rows().div_ceil(step_rows) * step_words)?;
        let parallel = parallel.for_words(rows.n_rows() * n_words);
        parallel.for_each_chunk(&mut steps, step_words, |step, words| {
            let rows = rows.slice(step * step_rows, rows.n_rows().min((step + 1) * step_rows));
            let mut packed = vec![0; rows.n_rows() * n_bytes];
            for (index, packed) in packed.chunks_exact_mut(n_bytes).enumerate() {
                for (feature, bit) in bits_of(rows.row(index), n_channels).enumerate() {
                    packed[feature / 8] |= bit << (7 - feature % 8);
                }
            }
            popcount::transpose(level, packed.chunks_exact(n_bytes), n_words, words);
        })?;
        Ok(SignTiles::Bits { steps, n_words })
    }
}

/// The number of signs in each row, whose bytes begin anew after `n_channels` of them.
pub(super) fn n_features(rows: Codes<'_>, n_channels: usize) -> usize {
    rows.n_bytes() / n_channels.div_ceil(8) * n_channels
}

/// The bits of a row whose bytes begin anew after `n_channels` of them.
fn bits_of(row: &[u8], n_channels: usize) -> impl Iterator<Item = u8> {
    let places = row.chunks_exact(n_channels.div_ceil(8));
    places.flat_map(move |bytes| (0..n_channels).map(|bit| bytes[bit / 8] >> (7 - bit % 8) & 1))
}

/// The number that a byte of the left-hand side stands for: `offset + scale * byte`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteValues {
    /// The difference between consecutive bytes.
    pub scale: i32,
    /// The number of byte 0.
    pub offset: i32,
}

impl ByteValues {
    /// The largest magnitude; padding of convolutions may be 1.
    fn largest(self) -> usize {
        let last = i64::from(self.offset) + 255 * i64::from(self.scale);
        last.unsigned_abs().max(i64::from(self.offset).unsigned_abs()).max(1) as usize
    }
}

impl Rows for Codes<'_> {
    fn n_rows(&self) -> usize {
        self.n_rows()
    }

    fn gather(&self, rows: std::ops::Range<usize>, bytes: &mut Vec<u8>) {
        rows.for_each(|row| bytes.extend_from_slice(self.row(row)));
    }
}

/// Multiplies rows of bytes by the rows of a matrix of signs: `out[i, j] = sum_c number(a[i, c]) * matrix[j, c]`, exactly.
///
/// # Errors
/// [`Error::NotSigns`] for a matrix of something else, [`Error::SignsDiffer`] if the rows do not have the same length,
/// [`Error::Features`] if the sums may not fit an int32, [`Error::InputLength`] or [`Error::OutputLength`] if the output does not
/// fit them, [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn byte_matmul(
    a: Codes<'_>,
    byte_values: ByteValues,
    matrix: &Matrix,
    output: Output<'_>,
    parallel: &Parallel<'_>,
) -> Result<(), Error> {
    if a.n_bytes() != matrix.n_features {
        return Err(Error::SignsDiffer { a: a.n_bytes(), b: matrix.n_features });
    }
    let (finish, mut rows) = output.into_rows(a.n_rows(), matrix.n_rows)?;
    multiply(&a, byte_values, matrix, finish, |n_rows| vec![rows.take_rows(n_rows)], parallel)
}

/// Twice what the byte 0 gives with each row of a matrix of signs.
///
/// # Errors
/// [`Error::Features`] if sums may not fit an int32, [`Error::OutOfMemory`].
pub(super) fn columns_of_zeros(matrix: &Matrix, byte_values: ByteValues) -> Result<Vec<i32>, Error> {
    check_range(byte_values.largest(), matrix.n_features)?;
    let mut columns = try_vec(0, matrix.n_rows)?;
    for (column, ones) in columns.iter_mut().zip(&matrix.planes[0].ones) {
        *column = 2 * byte_values.offset * (2 * ones - matrix.n_features as i32);
    }
    Ok(columns)
}

/// Multiplies, for rows of whatever source; `next_rows` gives so many more rows of the results.
pub(super) fn multiply<'o, L: Rows>(
    left: &L,
    byte_values: ByteValues,
    matrix: &Matrix,
    finish: Finish<'_>,
    next_rows: impl FnMut(usize) -> Vec<RowsOut<'o>>,
    parallel: &Parallel<'_>,
) -> Result<(), Error> {
    let (signs, columns) = (matrix.signs(parallel)?, columns_of_zeros(matrix, byte_values)?);
    if left.n_rows() == 0 || matrix.n_rows == 0 {
        return Ok(());
    }
    let product = Product { left, byte_values, matrix, signs, finish, columns };
    // A word of bits takes about as long as sixteen bytes.
    let words = left.n_rows().saturating_mul(matrix.n_rows).saturating_mul(matrix.n_features.div_ceil(16));
    let task_rows = (TASK_BYTES / matrix.n_features).next_multiple_of(2 * GROUP).clamp(2 * GROUP, TASK_ROWS);
    let cut = Cut {
        n_rows: left.n_rows(),
        n_columns: matrix.n_rows,
        task_rows,
        task_columns: TASK_PRODUCTS / task_rows / matrix.n_features,
        together: TOGETHER,
    };
    cut.for_each(next_rows, &parallel.for_words(words), |scratch, piece| product.compute(piece, scratch))
}

/// The product as one task needs it.
struct Product<'a, L> {
    left: &'a L,
    byte_values: ByteValues,
    matrix: &'a Matrix,
    signs: &'a SignTiles,
    finish: Finish<'a>,
    /// Twice what zeros give, by column.
    columns: Vec<i32>,
}

#[derive(Default)]
struct Scratch {
    bytes: Vec<u8>,
    left: LeftScratch,
    dots: Vec<i32>,
}

/// What the left-hand side becomes for the kernels, and what comes of it.
#[derive(Default)]
pub(super) struct LeftScratch {
    groups: Vec<[[u8; 4]; GROUP]>,
    quads: Vec<[u8; 4]>,
    /// Of each row of a pair.
    #[cfg(target_arch = "x86_64")]
    pub subsets: [Vec<Subsets>; 2],
    /// `[row][COLUMNS]`.
    pub sums: Vec<i32>,
}

impl<L: Rows> Product<'_, L> {
    fn compute(&self, piece: &mut Piece<'_>, scratch: &mut Scratch) -> Result<(), Error> {
        let Scratch { bytes, left, dots } = scratch;
        let level = self.matrix.level;
        let mut out: Vec<_> = piece.out.drain(..).flat_map(RowsOut::rows).collect();
        bytes.clear();
        self.left.gather(piece.rows.clone(), bytes);
        dots.resize(COLUMNS, 0);
        let rows = Codes::new(bytes, piece.rows.len(), self.matrix.n_features)?;
        let receive = |row: usize, columns: Range<usize>, sums: &[i32]| {
            let begin = self.left.columns(piece.rows.start + row).unwrap_or(&self.columns);
            let (begin, finish) = (&begin[columns.clone()], self.finish.from(columns.start));
            let in_piece = columns.start - piece.columns.start..columns.end - piece.columns.start;
            out[row].write(level, in_piece, finish, dots, |dots| {
                at_level!(level, to_dots(sums, -2 * self.byte_values.scale, begin, 0, dots));
            });
        };
        at_level!(level, byte_sums(rows, self.signs, piece.columns.clone(), left, receive));
        Ok(())
    }
}

/// Calls `receive(row, columns, sums)` for the products of rows of bytes by some rows of the right-hand side, of which the first
/// is the first of a tile. `byte_dots` and `byte_dots_of_one` are the kernels for some rows and for one.
#[inline(always)]
pub(super) fn quad_sums(
    rows: Codes<'_>,
    (tiles, n_quads): (&[Quads], usize),
    columns: Range<usize>,
    scratch: &mut LeftScratch,
    byte_dots: impl Fn(&[[[u8; 4]; GROUP]], usize, &[Quads], &mut [i32]),
    byte_dots_of_one: impl Fn(&[[u8; 4]], &[Quads], &mut [i32]),
    mut receive: impl FnMut(usize, Range<usize>, &[i32]),
) {
    let n_rows = rows.n_rows();
    let LeftScratch { groups, quads, sums, .. } = scratch;
    group(rows, n_quads, groups);
    if n_rows == 1 {
        quads.clear();
        quads.extend(groups.iter().map(|group| group[0]));
    }
    sums.resize(n_rows.next_multiple_of(GROUP) * COLUMNS, 0);
    let tiles = &tiles[columns.start / LANES * n_quads..];
    for (start, tiles) in columns.clone().step_by(COLUMNS).zip(tiles.chunks(COLUMNS / LANES * n_quads)) {
        let columns = start..(start + COLUMNS).min(columns.end);
        let tiles = &tiles[..columns.len().div_ceil(LANES) * n_quads];
        if n_rows == 1 {
            byte_dots_of_one(quads, tiles, sums);
        } else {
            byte_dots(groups, n_quads, tiles, sums);
        }
        for (row, sums) in sums.chunks(COLUMNS).take(n_rows).enumerate() {
            receive(row, columns.clone(), &sums[..columns.len()]);
        }
    }
}

/// Lays rows side by side, a group after the other; the last one is filled up with zeros.
fn group(rows: Codes<'_>, n_quads: usize, groups: &mut Vec<[[u8; 4]; GROUP]>) {
    groups.clear();
    groups.resize(rows.n_rows().div_ceil(GROUP) * n_quads, [[0; 4]; GROUP]);
    for row in 0..rows.n_rows() {
        let group = &mut groups[row / GROUP * n_quads..][..n_quads];
        let (quads, last) = rows.row(row).as_chunks::<4>();
        for (group, quad) in group.iter_mut().zip(quads) {
            group[row % GROUP] = *quad;
        }
        if let Some(group) = group.get_mut(quads.len()) {
            group[row % GROUP][..last.len()].copy_from_slice(last);
        }
    }
}
