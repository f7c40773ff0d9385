//! Plain Rust: the specification of every other level. The bodies that compilers vectorise well are `inline(always)`, so
//! that the other levels compile them with their instructions.

#![allow(clippy::needless_range_loop, reason = "indices run over the lanes of several arrays in step")]

use super::bound::{CoarseTable, SUBSPACES_PER_BYTE, SUBSPACES_PER_GROUP};
use super::encode::{Codebook, Nearest, ROWS_PER_STRIP};
use super::layout::{ROWS_PER_BLOCK, Width};
use super::{BlockHits, BlockRows, TableMetric};
use crate::{Codes, Error};

#[inline(always)]
pub(super) fn quantize<const N: usize>(
    tables: &[[f32; N]],
    smallest: &[f32],
    scale: f64,
    quantized: &mut [[u8; N]],
) {
    for ((table, smallest), bytes) in tables.iter().zip(smallest).zip(quantized) {
        let smallest = f64::from(*smallest);
        for (entry, bytes) in table.iter().zip(bytes) {
            *bytes = ((f64::from(*entry) - smallest) * scale).min(255.0) as i32 as u8;
        }
    }
}

pub(super) fn bound_bytes<const QUERIES: usize>(
    tables: [&[u8]; QUERIES],
    limits: [u16; QUERIES],
    blocks: &[u8],
    hits: &mut Vec<BlockHits>,
) -> Result<(), Error> {
    for (slot, (tables, limit)) in tables.iter().zip(limits).enumerate() {
        let (tables, _) = tables.as_chunks::<256>();
        bound(slot, limit, blocks, tables, 1, hits, |table, code| u32::from(table[code as usize]));
    }
    Ok(())
}

pub(super) fn coarse_is_faster() -> bool {
    false
}

pub(super) fn bound_coarse<const QUERIES: usize>(
    tables: [&[CoarseTable]; QUERIES],
    limits: [u16; QUERIES],
    blocks: &[u8],
    hits: &mut Vec<BlockHits>,
) -> Result<(), Error> {
    for (slot, (tables, limit)) in tables.iter().zip(limits).enumerate() {
        bound(slot, limit, blocks, tables, 1, hits, |table, code| {
            let [low, high] = [code & 0x7F, code >> 7];
            u32::from(table[low as usize] >> (4 * high) & 0xF)
        });
    }
    Ok(())
}

pub(super) fn bound_nibbles<const QUERIES: usize>(
    tables: [&[u8]; QUERIES],
    limits: [u16; QUERIES],
    blocks: &[u8],
    hits: &mut Vec<BlockHits>,
) -> Result<(), Error> {
    for (slot, (tables, limit)) in tables.iter().zip(limits).enumerate() {
        let (tables, _) = tables.as_chunks::<32>();
        bound(slot, limit, blocks, tables, 2, hits, |table, code| {
            u32::from(table[(code & 0xF) as usize]) + u32::from(table[16 + (code >> 4) as usize])
        });
    }
    Ok(())
}

/// Sums, for each row of each block, the entries of its codes, `in_plane` subspaces at a time; a group saturates at 255.
fn bound<T>(
    slot: usize,
    limit: u16,
    blocks: &[u8],
    tables: &[T],
    in_plane: usize,
    hits: &mut Vec<BlockHits>,
    entry: impl Fn(&T, u8) -> u32,
) {
    let group = if tables.len() > SUBSPACES_PER_BYTE / in_plane {
        SUBSPACES_PER_GROUP / in_plane
    } else {
        tables.len()
    };
    for (block, planes) in blocks.chunks_exact(tables.len() * ROWS_PER_BLOCK).enumerate() {
        let mut within = [false; ROWS_PER_BLOCK];
        // Few enough rows at a time for their sums to stay in registers.
        for (chunk, within) in within.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let mut totals = [0_u32; 8];
            for (tables, planes) in tables.chunks(group).zip(planes.chunks(group * ROWS_PER_BLOCK)) {
                let mut sums = [0_u32; 8];
                for (table, plane) in tables.iter().zip(planes.as_chunks::<ROWS_PER_BLOCK>().0) {
                    for (sum, code) in sums.iter_mut().zip(&plane[8 * chunk..]) {
                        *sum += entry(table, *code);
                    }
                }
                totals.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum.min(255));
            }
            *within = totals.map(|total| total <= u32::from(limit));
        }
        if within.contains(&true) {
            hits.push(BlockHits { slot: slot as u32, block: block as u32, rows: block_rows(&within) });
        }
    }
}

#[inline(always)]
pub(super) fn block_rows(rows: &[bool; ROWS_PER_BLOCK]) -> BlockRows {
    let mut lanes = [0; 4];
    for (lanes, rows) in lanes.iter_mut().zip(rows.as_chunks::<64>().0) {
        *lanes = rows.iter().enumerate().fold(0, |lanes, (row, is_set)| lanes | u64::from(*is_set) << row);
    }
    lanes
}

pub(super) fn sum_bytes(tables: &[f32], planes: &[u8], first_row: usize, out: &mut [f32]) {
    let (tables, _) = tables.as_chunks::<256>();
    // Few enough at a time for their sums to stay in registers.
    for (row, out) in (first_row..).step_by(8).zip(out.as_chunks_mut::<8>().0) {
        let mut sums = [0.0; 8];
        for (table, plane) in tables.iter().zip(planes.as_chunks::<ROWS_PER_BLOCK>().0) {
            for (sum, code) in sums.iter_mut().zip(&plane[row..]) {
                *sum += table[*code as usize];
            }
        }
        *out = sums;
    }
}

pub(super) fn sum_nibbles(tables: &[f32], planes: &[u8], first_row: usize, out: &mut [f32]) {
    for (row, out) in (first_row..).step_by(8).zip(out.as_chunks_mut::<8>().0) {
        let mut sums = [0.0; 8];
        for (pair, plane) in tables.chunks(32).zip(planes.as_chunks::<ROWS_PER_BLOCK>().0) {
            for (half, table) in pair.as_chunks::<16>().0.iter().enumerate() {
                for (sum, code) in sums.iter_mut().zip(&plane[row..]) {
                    *sum += table[(code >> (4 * half) & 0xF) as usize];
                }
            }
        }
        *out = sums;
    }
}

#[inline(always)]
pub(super) fn alike(planes: &[u8], row: usize) -> BlockRows {
    let mut differing = [0_u8; ROWS_PER_BLOCK];
    for plane in planes.as_chunks::<ROWS_PER_BLOCK>().0 {
        let code = plane[row];
        for (differing, other) in differing.iter_mut().zip(plane) {
            *differing |= other ^ code;
        }
    }
    block_rows(&differing.map(|bits| bits == 0))
}

#[inline(always)]
pub(super) fn pack_block(rows: Codes<'_>, width: Width, planes: &mut [u8]) -> u8 {
    pack_block_with(rows, width, planes, transposed)
}

/// The same with another implementation of [`transposed`].
#[inline(always)]
pub(super) fn pack_block_with(
    rows: Codes<'_>,
    width: Width,
    planes: &mut [u8],
    transposed: impl Fn(Codes<'_>, usize) -> [[u8; 64]; 8],
) -> u8 {
    let n_subspaces = rows.n_bytes();
    let n_planes = width.n_planes(n_subspaces);
    let (planes, _) = planes[..n_planes * ROWS_PER_BLOCK].as_chunks_mut::<64>();
    let mut largest = [0; 64];
    for quarter in 0..ROWS_PER_BLOCK / 64 {
        let start = (quarter * 64).min(rows.n_rows());
        let rows = rows.slice(start, (start + 64).min(rows.n_rows()));
        for word in 0..n_subspaces.div_ceil(8) {
            let mut bytes = transposed(rows, word);
            for plane in &bytes {
                for (largest, code) in largest.iter_mut().zip(plane) {
                    *largest = (*code).max(*largest);
                }
            }
            let mut in_word = 8;
            if width == Width::Nibble {
                in_word = 4;
                for pair in 0..4 {
                    for lane in 0..64 {
                        bytes[pair][lane] = bytes[2 * pair][lane] | bytes[2 * pair + 1][lane] << 4;
                    }
                }
            }
            for (plane, bytes) in (word * in_word..n_planes).zip(&bytes[..in_word]) {
                planes[plane * (ROWS_PER_BLOCK / 64) + quarter] = *bytes;
            }
        }
    }
    largest.into_iter().max().unwrap_or(0)
}

/// Bytes `8 * word..` of up to 64 rows: the first byte of each row, then the second of each, ... Missing bytes
/// are zero.
///
/// Each lane transposes the 8 x 8 bytes of eight rows by swapping ever smaller squares, which the compiler
/// vectorises.
#[inline(always)]
pub(super) fn transposed(rows: Codes<'_>, word: usize) -> [[u8; 64]; 8] {
    let mut words = [[0_u64; 8]; 8];
    for row in 0..rows.n_rows().min(64) {
        let bytes = &rows.row(row)[8 * word..];
        words[row % 8][row / 8] = match bytes.first_chunk() {
            Some(whole) => u64::from_le_bytes(*whole),
            None => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
    }
    swap_squares::<4>(&mut words, 0x0000_0000_FFFF_FFFF);
    swap_squares::<2>(&mut words, 0x0000_FFFF_0000_FFFF);
    swap_squares::<1>(&mut words, 0x00FF_00FF_00FF_00FF);
    let mut planes = [[0; 64]; 8];
    for (plane, words) in planes.iter_mut().zip(words) {
        for (bytes, word) in plane.as_chunks_mut().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
    }
    planes
}

/// Swaps the upper right and the lower left square of `SIZE` bytes in each double square, where `low` selects the left ones.
#[inline(always)]
fn swap_squares<const SIZE: usize>(words: &mut [[u64; 8]; 8], low: u64) {
    for row in (0..8).filter(|row| row & SIZE == 0) {
        for lane in 0..8 {
            let [upper, lower] = [words[row][lane], words[row + SIZE][lane]];
            let swapped = (upper >> (8 * SIZE) ^ lower) & low;
            words[row][lane] = upper ^ swapped << (8 * SIZE);
            words[row + SIZE][lane] = lower ^ swapped;
        }
    }
}

pub(super) fn table_as_is(part: &[f32], codewords: &[f32], metric: TableMetric, table: &mut [f32]) {
    for (codeword, entry) in codewords.chunks_exact(part.len()).zip(table) {
        let values = part.iter().zip(codeword);
        *entry = match metric {
            TableMetric::L2 => values.fold(0.0, |sum, (value, coordinate)| {
                let difference = value - coordinate;
                sum + difference * difference
            }),
            TableMetric::Ip => values.fold(0.0, |sum, (value, coordinate)| sum - value * coordinate),
        };
    }
}

#[inline(always)]
pub(super) fn table(part: &[f32], transposed: &[f32], metric: TableMetric, table: &mut [f32]) {
    table.fill(0.0);
    for (value, coordinates) in part.iter().zip(transposed.chunks_exact(table.len())) {
        let entries = table.iter_mut().zip(coordinates);
        match metric {
            TableMetric::L2 => entries.for_each(|(entry, coordinate)| {
                let difference = value - coordinate;
                *entry += difference * difference;
            }),
            TableMetric::Ip => entries.for_each(|(entry, coordinate)| *entry -= value * coordinate),
        }
    }
}

#[inline(always)]
pub(super) fn nearest(columns: &[[f32; ROWS_PER_STRIP]], codebook: Codebook<'_>, found: &mut Nearest) {
    // Four at a time: their sums do not wait for each other, and share the loads of the columns.
    let mut fours = codebook.values.chunks_exact(4 * columns.len());
    let mut index = 0;
    for four in &mut fours {
        let mut distances = [[0.0; ROWS_PER_STRIP]; 4];
        for (dim, values) in columns.iter().enumerate() {
            for (which, distances) in distances.iter_mut().enumerate() {
                add_squares(distances, values, four[which * columns.len() + dim]);
            }
        }
        for distances in distances {
            found.take(index, &distances);
            index += 1;
        }
    }
    for codeword in fours.remainder().chunks_exact(columns.len()) {
        let mut distances = [0.0; ROWS_PER_STRIP];
        for (values, coordinate) in columns.iter().zip(codeword) {
            add_squares(&mut distances, values, *coordinate);
        }
        found.take(index, &distances);
        index += 1;
    }
}

#[inline(always)]
fn add_squares(distances: &mut [f32; ROWS_PER_STRIP], values: &[f32; ROWS_PER_STRIP], coordinate: f32) {
    for (distance, value) in distances.iter_mut().zip(values) {
        let difference = value - coordinate;
        *distance += difference * difference;
    }
}

impl Nearest {
    /// Takes the distances to a codeword with a higher number than all before.
    #[inline(always)]
    fn take(&mut self, index: u32, distances: &[f32; ROWS_PER_STRIP]) {
        for lane in 0..ROWS_PER_STRIP {
            let is_nearer = distances[lane] < self.distances[lane];
            self.distances[lane] = if is_nearer { distances[lane] } else { self.distances[lane] };
            self.indices[lane] = if is_nearer { index } else { self.indices[lane] };
        }
    }
}
