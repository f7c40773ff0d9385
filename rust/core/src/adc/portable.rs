//! Plain Rust: what every other level computes. The bodies that compilers turn into good vector code are `inline(always)`,
//! so that the other levels compile them with their instructions.

use super::blocks::ROWS;
use super::bound::GROUP;
use super::codewords::{LANES, Nearest};
use super::{Hit, Lanes, Metric};

#[inline(always)]
pub(super) fn floor<const N: usize>(
    tables: &[[f32; N]],
    smallest: &[f32],
    scale: f64,
    floors: &mut [[u8; N]],
) {
    for ((table, smallest), floor) in tables.iter().zip(smallest).zip(floors) {
        let smallest = f64::from(*smallest);
        for (entry, floor) in table.iter().zip(floor) {
            *floor = ((f64::from(*entry) - smallest) * scale).min(255.0) as i32 as u8;
        }
    }
}

pub(super) fn bound_bytes<const QUERIES: usize>(
    tables: [&[u8]; QUERIES],
    limits: [u16; QUERIES],
    blocks: &[u8],
    hits: &mut Vec<Hit>,
) {
    for (slot, (tables, limit)) in tables.iter().zip(limits).enumerate() {
        let (tables, _) = tables.as_chunks::<256>();
        bound(slot, limit, blocks, tables.len(), GROUP, hits, |plane, codes, sums| {
            for (sum, code) in sums.iter_mut().zip(codes) {
                *sum = sum.saturating_add(tables[plane][*code as usize]);
            }
        });
    }
}

pub(super) fn bound_nibbles<const QUERIES: usize>(
    tables: [&[u8]; QUERIES],
    limits: [u16; QUERIES],
    blocks: &[u8],
    hits: &mut Vec<Hit>,
) {
    for (slot, (tables, limit)) in tables.iter().zip(limits).enumerate() {
        let (tables, _) = tables.as_chunks::<32>();
        bound(slot, limit, blocks, tables.len(), GROUP / 2, hits, |plane, codes, sums| {
            for (sum, code) in sums.iter_mut().zip(codes) {
                *sum = sum.saturating_add(tables[plane][(*code & 0xF) as usize]);
                *sum = sum.saturating_add(tables[plane][16 + (*code >> 4) as usize]);
            }
        });
    }
}

/// Adds up `n_planes` planes of each block, in groups of bytes, and appends what is within the limit.
fn bound(
    slot: usize,
    limit: u16,
    blocks: &[u8],
    n_planes: usize,
    group_planes: usize,
    hits: &mut Vec<Hit>,
    add: impl Fn(usize, &[u8], &mut [u8; ROWS]),
) {
    for (block, planes) in blocks.chunks_exact(n_planes * ROWS).enumerate() {
        let mut totals = [0_u16; ROWS];
        for (group, planes) in planes.chunks(group_planes * ROWS).enumerate() {
            let mut sums = [0_u8; ROWS];
            for (plane, codes) in (group * group_planes..).zip(planes.chunks_exact(ROWS)) {
                add(plane, codes, &mut sums);
            }
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total = total.saturating_add(u16::from(sum));
            }
        }
        let within: [bool; ROWS] = totals.map(|total| total <= limit);
        let lanes = lanes(&within);
        if lanes != [0; 4] {
            hits.push(Hit { slot: slot as u32, block: block as u32, lanes });
        }
    }
}

#[inline(always)]
fn lanes(rows: &[bool; ROWS]) -> Lanes {
    let mut lanes = [0; 4];
    for (lanes, rows) in lanes.iter_mut().zip(rows.as_chunks::<64>().0) {
        *lanes = rows.iter().enumerate().fold(0, |lanes, (row, is_set)| lanes | u64::from(*is_set) << row);
    }
    lanes
}

pub(super) fn sum_bytes(tables: &[f32], planes: &[u8], out: &mut [f32; ROWS]) {
    let (tables, _) = tables.as_chunks::<256>();
    // Few enough at a time for their sums to stay in registers.
    for (first_row, out) in out.chunks_exact_mut(8).enumerate() {
        let mut sums = [0.0_f32; 8];
        for (table, plane) in tables.iter().zip(planes.chunks_exact(ROWS)) {
            for (sum, code) in sums.iter_mut().zip(&plane[8 * first_row..]) {
                *sum += table[*code as usize];
            }
        }
        out.copy_from_slice(&sums);
    }
}

pub(super) fn sum_nibbles(tables: &[f32], planes: &[u8], out: &mut [f32; ROWS]) {
    for (first_row, out) in out.chunks_exact_mut(8).enumerate() {
        let mut sums = [0.0_f32; 8];
        for (pair, plane) in tables.chunks(32).zip(planes.chunks_exact(ROWS)) {
            let (tables, _) = pair.as_chunks::<16>();
            for (half, table) in tables.iter().enumerate() {
                for (sum, code) in sums.iter_mut().zip(&plane[8 * first_row..]) {
                    *sum += table[(code >> (4 * half) & 0xF) as usize];
                }
            }
        }
        out.copy_from_slice(&sums);
    }
}

#[inline(always)]
pub(super) fn alike(planes: &[u8], row: usize) -> Lanes {
    let mut differing = [0_u8; ROWS];
    for plane in planes.as_chunks::<ROWS>().0 {
        let code = plane[row];
        for (differing, other) in differing.iter_mut().zip(plane) {
            *differing |= other ^ code;
        }
    }
    lanes(&differing.map(|bits| bits == 0))
}

#[inline(always)]
pub(super) fn table(part: &[f32], transposed: &[f32], metric: Metric, table: &mut [f32]) {
    table.fill(0.0);
    for (value, coordinates) in part.iter().zip(transposed.chunks_exact(table.len())) {
        let entries = table.iter_mut().zip(coordinates);
        match metric {
            Metric::L2 => entries.for_each(|(entry, coordinate)| {
                let difference = value - coordinate;
                *entry += difference * difference;
            }),
            Metric::Ip => entries.for_each(|(entry, coordinate)| *entry -= value * coordinate),
        }
    }
}

#[inline(always)]
pub(super) fn nearest(columns: &[[f32; LANES]], codewords: &[f32], found: &mut Nearest) {
    // Four at a time: their sums do not wait for each other, and share the loads of the columns.
    let mut fours = codewords.chunks_exact(4 * columns.len());
    let mut index = 0;
    for four in &mut fours {
        let mut distances = [[0.0; LANES]; 4];
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
        let mut distances = [0.0; LANES];
        for (values, coordinate) in columns.iter().zip(codeword) {
            add_squares(&mut distances, values, *coordinate);
        }
        found.take(index, &distances);
        index += 1;
    }
}

#[inline(always)]
fn add_squares(distances: &mut [f32; LANES], values: &[f32; LANES], coordinate: f32) {
    for (distance, value) in distances.iter_mut().zip(values) {
        let difference = value - coordinate;
        *distance += difference * difference;
    }
}

impl Nearest {
    /// Takes the distances to a codeword of a higher number than all before.
    #[inline(always)]
    fn take(&mut self, index: u32, distances: &[f32; LANES]) {
        for lane in 0..LANES {
            let is_nearer = distances[lane] < self.distances[lane];
            self.distances[lane] = if is_nearer { distances[lane] } else { self.distances[lane] };
            self.indices[lane] = if is_nearer { index } else { self.indices[lane] };
        }
    }
}
