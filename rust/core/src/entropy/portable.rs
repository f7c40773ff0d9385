//! Decoding of interleaved rANS in plain Rust: the meaning of the other files.

use super::frequencies::MAX_SYMBOLS;
use super::rans::{Lanes, N_LANES};
use super::tables::{N_BUCKETS, Tables, owner};

/// Reads symbols, which begin a group, `which` being their tables. Returns how many it read: all of them.
pub(super) fn decode_groups(
    tables: &Tables,
    which: Option<&[u8]>,
    lanes: &mut Lanes<'_>,
    out: &mut [u8],
) -> usize {
    for (group, symbols) in out.chunks_mut(N_LANES).enumerate() {
        for (lane, symbol) in symbols.iter_mut().enumerate() {
            let table = which.map_or(0, |which| usize::from(which[group * N_LANES + lane]));
            let table = table.min(tables.n_tables() - 1);
            let x = lanes.x[lane];
            let (own, number) = owner(&tables.buckets[table * N_BUCKETS..], x & 0xffff);
            lanes.x[lane] = tables.frequencies[table * MAX_SYMBOLS + own] * (x >> 16) + number;
            *symbol = own as u8;
        }
        let needs_second: [bool; N_LANES] = std::array::from_fn(|lane| lanes.x[lane] >> 16 == 0);
        for lane in 0..symbols.len() {
            if lanes.x[lane] >> 24 == 0 {
                take_byte(lanes, lane);
            }
        }
        for lane in (0..symbols.len()).filter(|lane| needs_second[*lane]) {
            take_byte(lanes, lane);
        }
    }
    out.len()
}

#[inline]
fn take_byte(lanes: &mut Lanes<'_>, lane: usize) {
    let byte = lanes.bytes.get(lanes.position).copied().unwrap_or(0);
    lanes.x[lane] = lanes.x[lane] << 8 | u32::from(byte);
    lanes.position += 1;
}
