//! Interleaved rANS in plain Rust: the meaning of the other files.

use super::frequencies::MAX_SYMBOLS;
use super::rans::{GROUP_BYTES, LaneWriter, Lanes, N_LANES};
use super::tables::{N_BUCKETS, Slots, Tables, owner};

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

/// Writes symbols before those that were written, the last group first, `which` being their tables. An error is the position of a symbol
/// that has no frequency in its table.
pub(super) fn encode_groups(
    tables: &Tables,
    slots: &Slots,
    symbols: &[u8],
    which: Option<&[u8]>,
    writer: &mut LaneWriter,
) -> Result<(), usize> {
    for (group, symbols) in symbols.chunks(N_LANES).enumerate().rev() {
        let position = group * N_LANES;
        let start = writer.first.checked_sub(GROUP_BYTES).ok_or(position)?;
        let room = &mut writer.bytes[start..writer.first];
        let mut free = GROUP_BYTES;
        let mut firsts = [(0, 0); N_LANES];
        for (lane, symbol) in symbols.iter().copied().enumerate().rev() {
            let table = which.map_or(0, |which| which[position + lane]);
            let frequency = tables.frequency(table, symbol);
            if frequency == 0 {
                return Err(position + lane);
            }
            let x = writer.x[lane];
            let has_second = x >> 24 >= frequency;
            room[free - 1] = x as u8;
            free -= usize::from(has_second);
            let x = if has_second { x >> 8 } else { x };
            let has_first = x >> 16 >= frequency;
            firsts[lane] = (x as u8, usize::from(has_first));
            let x = if has_first { x >> 8 } else { x };
            let (quotient, number) = (x / frequency, x % frequency);
            writer.x[lane] = quotient << 16 | u32::from(slots.slot(tables, table, symbol, number));
        }
        for (byte, is_written) in firsts.iter().rev() {
            room[free - 1] = *byte;
            free -= is_written;
        }
        writer.first -= GROUP_BYTES - free;
    }
    Ok(())
}
