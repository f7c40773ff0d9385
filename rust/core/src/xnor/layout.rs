//! Operands of products of bytes and signs, arranged for the kernels.
//!
//! The signs of some rows of the right-hand side lie side by side, so that a lane belongs to one row and no kernel sums
//! across a register. Each row of the right-hand side is a column of the results. As a rule the signs are bytes, four
//! features of each of sixteen columns:
//!
//! ```text
//! quad 0   a0 a1 a2 a3   b0 b1 b2 b3   ...   p0 p1 p2 p3      features 0..4 of columns 0..16, bytes of -1 or +1
//! quad 1   a4 a5 a6 a7   b4 b5 b6 b7   ...   p4 p5 p6 p7      features 4..8
//! ...                                                         zeros after the last feature and the last column
//! ```
//!
//! One broadcast of four bytes of the left-hand side meets a quad. Rows of the left-hand side are grouped likewise: four
//! bytes of each row of a group, then the next four. At AVX2 large matrices keep their signs as bits: see `subsets`.

use std::ops::Range;

use crate::error::try_resize;
#[cfg(target_arch = "x86_64")]
use crate::popcount::tile::Lanes;
use crate::{Codes, Error};

/// Columns whose results are in the cache together.
pub(super) const COLUMNS_PER_BLOCK: usize = 256;

/// Columns of a tile of quads.
pub(super) const COLUMNS_PER_TILE: usize = 16;

/// Rows of the left-hand side that kernels take at a time, unless there is only one.
pub(super) const ROWS_PER_GROUP: usize = 4;

/// Integers that are split into bit planes together.
pub(super) const VALUES_PER_WORD: usize = 64;

/// Four features of each column of a tile.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Quads(pub [[i8; 4]; COLUMNS_PER_TILE]);

/// The sums of every subset of the low nibbles of four bytes, and of their high nibbles. The first byte is in the subsets
/// whose index has its highest bit set.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Default)]
#[repr(C, align(32))]
pub(super) struct Subsets(pub [[u8; 16]; 2]);

/// The right-hand side for the kernels of a level.
pub(super) enum SignTiles {
    /// Tiles of quads.
    Quads {
        /// `n_quads` for each tile.
        tiles: Vec<Quads>,
        n_quads: usize,
    },
    /// Steps of a popcount tile, with `n_words` words per row.
    #[cfg(target_arch = "x86_64")]
    Bits { steps: Vec<Lanes>, n_words: usize },
}

impl SignTiles {
    /// The tiles of quads, and the number of quads in each.
    pub fn as_quads(&self) -> (&[Quads], usize) {
        match self {
            SignTiles::Quads { tiles, n_quads } => (tiles, *n_quads),
            #[cfg(target_arch = "x86_64")]
            SignTiles::Bits { .. } => unreachable!("only made for AVX2, which does not call this"),
        }
    }
}

/// The left-hand side of a task arranged for the kernels, and its products.
#[derive(Default)]
pub(super) struct ByteScratch {
    groups: Vec<[[u8; 4]; ROWS_PER_GROUP]>,
    /// The quads of a single row.
    quads: Vec<[u8; 4]>,
    /// For each row of a pair.
    #[cfg(target_arch = "x86_64")]
    pub subsets: [Vec<Subsets>; 2],
    /// `[row][COLUMNS_PER_BLOCK]`.
    pub sums: Vec<i32>,
}

/// Calls `receive(row, columns, sums)` for the products of rows of bytes by `columns`, which begin with a tile. `byte_dots`
/// and `byte_dots_of_one` are the kernels for several rows and for one.
#[inline(always)]
pub(super) fn quad_sums(
    rows: Codes<'_>,
    (tiles, n_quads): (&[Quads], usize),
    columns: Range<usize>,
    scratch: &mut ByteScratch,
    byte_dots: impl Fn(&[[[u8; 4]; ROWS_PER_GROUP]], usize, &[Quads], &mut [i32]),
    byte_dots_of_one: impl Fn(&[[u8; 4]], &[Quads], &mut [i32]),
    mut receive: impl FnMut(usize, Range<usize>, &[i32]),
) -> Result<(), Error> {
    let n_rows = rows.n_rows();
    let ByteScratch { groups, quads, sums, .. } = scratch;
    fill_groups(rows, n_quads, groups)?;
    if n_rows == 1 {
        quads.clear();
        quads.try_reserve(groups.len())?;
        quads.extend(groups.iter().map(|group| group[0]));
    }
    try_resize(sums, n_rows.next_multiple_of(ROWS_PER_GROUP) * COLUMNS_PER_BLOCK, 0)?;
    let tiles = &tiles[columns.start / COLUMNS_PER_TILE * n_quads..];
    let blocks = tiles.chunks(COLUMNS_PER_BLOCK / COLUMNS_PER_TILE * n_quads);
    for (start, tiles) in columns.clone().step_by(COLUMNS_PER_BLOCK).zip(blocks) {
        let columns = start..(start + COLUMNS_PER_BLOCK).min(columns.end);
        let tiles = &tiles[..columns.len().div_ceil(COLUMNS_PER_TILE) * n_quads];
        if n_rows == 1 {
            byte_dots_of_one(quads, tiles, sums);
        } else {
            byte_dots(groups, n_quads, tiles, sums);
        }
        for (row, sums) in sums.chunks(COLUMNS_PER_BLOCK).take(n_rows).enumerate() {
            receive(row, columns.clone(), &sums[..columns.len()]);
        }
    }
    Ok(())
}

/// Arranges rows in groups; missing rows of the last group are zeros.
fn fill_groups(
    rows: Codes<'_>,
    n_quads: usize,
    groups: &mut Vec<[[u8; 4]; ROWS_PER_GROUP]>,
) -> Result<(), Error> {
    groups.clear();
    try_resize(groups, rows.n_rows().div_ceil(ROWS_PER_GROUP) * n_quads, [[0; 4]; ROWS_PER_GROUP])?;
    for row in 0..rows.n_rows() {
        let group = &mut groups[row / ROWS_PER_GROUP * n_quads..][..n_quads];
        let (quads, last) = rows.row(row).as_chunks::<4>();
        for (group, quad) in group.iter_mut().zip(quads) {
            group[row % ROWS_PER_GROUP] = *quad;
        }
        if let Some(group) = group.get_mut(quads.len()) {
            group[row % ROWS_PER_GROUP][..last.len()].copy_from_slice(last);
        }
    }
    Ok(())
}
