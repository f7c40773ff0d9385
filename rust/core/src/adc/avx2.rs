//! TODO
use super::blocks::ROWS;
use super::codewords::{LANES, Nearest};
use super::{Hit, Lanes, Metric, portable};

#[target_feature(enable = "avx2")]
pub(super) fn floor<const N: usize>(
    tables: &[[f32; N]],
    smallest: &[f32],
    scale: f64,
    floors: &mut [[u8; N]],
) {
    portable::floor(tables, smallest, scale, floors);
}

#[target_feature(enable = "avx2")]
pub(super) fn bound_bytes<const QUERIES: usize>(
    tables: [&[u8]; QUERIES],
    limits: [u16; QUERIES],
    blocks: &[u8],
    hits: &mut Vec<Hit>,
) {
    portable::bound_bytes(tables, limits, blocks, hits);
}

#[target_feature(enable = "avx2")]
pub(super) fn bound_nibbles<const QUERIES: usize>(
    tables: [&[u8]; QUERIES],
    limits: [u16; QUERIES],
    blocks: &[u8],
    hits: &mut Vec<Hit>,
) {
    portable::bound_nibbles(tables, limits, blocks, hits);
}

#[target_feature(enable = "avx2")]
pub(super) fn sum_bytes(tables: &[f32], planes: &[u8], out: &mut [f32; ROWS]) {
    portable::sum_bytes(tables, planes, out);
}

#[target_feature(enable = "avx2")]
pub(super) fn sum_nibbles(tables: &[f32], planes: &[u8], out: &mut [f32; ROWS]) {
    portable::sum_nibbles(tables, planes, out);
}

#[target_feature(enable = "avx2")]
pub(super) fn alike(planes: &[u8], row: usize) -> Lanes {
    portable::alike(planes, row)
}

#[target_feature(enable = "avx2")]
pub(super) fn table(part: &[f32], transposed: &[f32], metric: Metric, table: &mut [f32]) {
    portable::table(part, transposed, metric, table);
}

#[target_feature(enable = "avx2")]
pub(super) fn nearest(columns: &[[f32; LANES]], codewords: &[f32], found: &mut Nearest) {
    portable::nearest(columns, codewords, found);
}
