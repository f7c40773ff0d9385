//! Packing along columns: 64 rows of a few columns are packed, and their bits transposed.

use super::{BYTES_PER_TASK, BitOrder, DIMS_PER_BLOCK, Limits, Rows, padded};
use crate::{Error, Run};

/// Columns that are packed at a time: some cache lines of each row.
const COLUMNS_PER_TILE: usize = 256;

/// Packs columns, split over the threads; the kernel packs rows in little-endian order.
pub(super) fn pack<const N: usize, T: Copy + Sync>(
    x: Rows<'_>,
    thresholds: &[T],
    order: BitOrder,
    out: &mut [u8],
    run: &Run<'_>,
    kernel: impl Fn(Rows<'_>, &[Limits<T>], &mut [u8]) + Sync,
) -> Result<(), Error> {
    let n_bytes = x.n_rows.div_ceil(8);
    let columns = match BYTES_PER_TASK / N / x.n_rows {
        0 => DIMS_PER_BLOCK,
        fitting => fitting.next_multiple_of(COLUMNS_PER_TILE),
    };
    run.for_each_chunk(out, columns * n_bytes, |task, out| {
        let mut bits = [0; DIMS_PER_BLOCK * COLUMNS_PER_TILE / 8];
        for (tile, out) in out.chunks_mut(COLUMNS_PER_TILE * n_bytes).enumerate() {
            let n_codes = out.len() / n_bytes;
            let x = x.columns((task * columns + tile * COLUMNS_PER_TILE) * N, n_codes * N);
            let width = n_codes.div_ceil(8);
            for first in (0..x.n_rows).step_by(DIMS_PER_BLOCK) {
                let rows = x.rows(first, DIMS_PER_BLOCK);
                let bits = &mut bits[..rows.n_rows * width];
                match thresholds {
                    [all] => kernel(rows, &[Limits([*all; DIMS_PER_BLOCK])], bits),
                    _ => {
                        for (row, bits) in bits.chunks_exact_mut(width).enumerate() {
                            kernel(
                                rows.rows(row, 1),
                                &[Limits([thresholds[first + row]; DIMS_PER_BLOCK])],
                                bits,
                            );
                        }
                    }
                }
                for (block, out) in out.chunks_mut(DIMS_PER_BLOCK * n_bytes).enumerate() {
                    let square = transposed(bits, width, block, order);
                    for (bits, code) in square.into_iter().zip(out.chunks_exact_mut(n_bytes)) {
                        let code = &mut code[first / 8..];
                        match code.first_chunk_mut() {
                            Some(bytes) => *bytes = bits.to_le_bytes(),
                            None => code.copy_from_slice(&bits.to_le_bytes()[..code.len()]),
                        }
                    }
                }
            }
        }
        Ok(())
    })
}

/// Returns the bits of 64 columns in up to 64 rows of `width` little-endian bytes: word `j` is column `64 * block + j`, and
/// its byte `i` has the rows from `8 * i` on, in the given order.
#[inline(always)]
fn transposed(rows: &[u8], width: usize, block: usize, order: BitOrder) -> [u64; DIMS_PER_BLOCK] {
    let mut square = [0; DIMS_PER_BLOCK];
    for (row, bits) in rows.chunks_exact(width).enumerate() {
        let bits = &bits[8 * block..];
        let bits = bits.first_chunk().map_or_else(|| padded(bits, 0), |bytes| *bytes);
        square[if order == BitOrder::Big { row ^ 7 } else { row }] = u64::from_le_bytes(bits);
    }
    // Swap the upper right and the lower left quarter, then do the same in each quarter (Warren, Hacker's Delight, 7-3).
    let (mut size, mut mask) = (DIMS_PER_BLOCK / 2, u64::MAX >> (DIMS_PER_BLOCK / 2));
    while size > 0 {
        for part in square.chunks_exact_mut(2 * size) {
            let (upper, lower) = part.split_at_mut(size);
            for (upper, lower) in upper.iter_mut().zip(lower) {
                let swapped = ((*upper >> size) ^ *lower) & mask;
                *upper ^= swapped << size;
                *lower ^= swapped;
            }
        }
        size /= 2;
        mask ^= mask << size;
    }
    square
}
