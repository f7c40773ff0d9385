//! Prediction of a frame from references: samples between samples, and overlapped blocks.
//!
//! Half samples come from the six-tap filter (1, -5, 20, 20, -5, 1) / 32, as in H.264 (ITU-T H.264, 8.4.2.2.1), quarter samples are the
//! means of the two nearest half samples, in both directions at once. Blocks of 8 x 8 overlap their neighbours (Orchard and Sullivan,
//! *Overlapped block motion compensation*, IEEE Trans. Image Process. 3, 1994): a sample is the mean of what the motion of its own cell and
//! of the three nearest ones predict, with weights that fall linearly from the middle of a cell.
//!
//! ```text
//! weight of the own cell by row, of 16:  9 11 13 15 15 13 11 9      the same by column; weights are products
//! of the one above or below:             7  5  3  1  1  3  5 7
//! ```

use super::field::{Cell, Field, Vector};
use crate::error::{try_copy, try_vec};
use crate::{Error, Run};

/// Samples beyond each edge of a reference.
const MARGIN: usize = 32;

/// Samples of a cell on a side.
pub(super) const CELL: usize = 8;

/// Samples on each side of one between samples.
const TAPS: usize = 3;

/// A plane of luma with the samples between its own, and margins of its edges.
pub(super) struct Reference {
    stride: usize,
    n_rows: usize,
    /// The samples, those half a sample further to the right, further down, and in both directions.
    planes: [Vec<u8>; 4],
}

fn filtered(samples: [i32; 2 * TAPS]) -> i32 {
    let [a, b, c, d, e, f] = samples;
    a + f - 5 * (b + e) + 20 * (c + d)
}

impl Reference {
    pub(super) fn new(samples: &[u8], width: usize, height: usize, run: &Run<'_>) -> Result<Self, Error> {
        let (stride, n_rows) = (width + 2 * MARGIN, height + 2 * MARGIN);
        let mut whole = try_vec(0, stride * n_rows)?;
        for (y, out) in whole.chunks_exact_mut(stride).enumerate() {
            let row = &samples[y.saturating_sub(MARGIN).min(height - 1) * width..][..width];
            out[..MARGIN].fill(row[0]);
            out[MARGIN..MARGIN + width].copy_from_slice(row);
            out[MARGIN + width..].fill(row[width - 1]);
        }
        let (mut right, mut down, mut both) = (try_copy(&whole)?, try_copy(&whole)?, try_copy(&whole)?);
        let n_columns = stride - 2 * TAPS;
        let row = |y: usize| &whole[y * stride..][..stride];
        let parts = right.chunks_exact_mut(stride).zip(down.chunks_exact_mut(stride));
        let parts = parts.zip(both.chunks_exact_mut(stride));
        run.for_each_part(
            parts.skip(TAPS).take(n_rows - 2 * TAPS),
            || try_vec(0_i32, stride),
            |sums, index, ((right, down), both)| {
                let y = index + TAPS;
                let rows: [&[u8]; 2 * TAPS] = std::array::from_fn(|tap| row(y + tap - (TAPS - 1)));
                for (x, (sum, down)) in sums.iter_mut().zip(down).enumerate() {
                    *sum = filtered(rows.map(|row| i32::from(row[x])));
                    *down = ((*sum + 16) >> 5).clamp(0, 255) as u8;
                }
                let right = &mut right[TAPS - 1..][..n_columns];
                let both = &mut both[TAPS - 1..][..n_columns];
                let taps: [&[u8]; 2 * TAPS] = std::array::from_fn(|tap| &rows[TAPS - 1][tap..][..n_columns]);
                let of_sums: [&[i32]; 2 * TAPS] = std::array::from_fn(|tap| &sums[tap..][..n_columns]);
                for x in 0..n_columns {
                    let sum = filtered(taps.map(|samples| i32::from(samples[x])));
                    right[x] = ((sum + 16) >> 5).clamp(0, 255) as u8;
                    let sum = filtered(of_sums.map(|sums| sums[x]));
                    both[x] = ((sum + 512) >> 10).clamp(0, 255) as u8;
                }
                Ok(())
            },
        )?;
        Ok(Reference { stride, n_rows, planes: [whole, right, down, both] })
    }

    /// From the sample at `(y, x)` on, in halves of a sample, for a block of `side`.
    fn half(&self, y: i32, x: i32, side: usize) -> &[u8] {
        let place = |position: i32, len: usize| {
            ((position >> 1) + MARGIN as i32).clamp(0, (len - side) as i32) as usize
        };
        let plane = &self.planes[(y & 1) as usize * 2 + (x & 1) as usize];
        &plane[place(y, self.n_rows) * self.stride + place(x, self.stride)..]
    }

    /// The block of the reference that the vector of the one at `(y, x)` refers to.
    #[inline]
    pub(super) fn block<const SIDE: usize>(
        &self,
        y: usize,
        x: usize,
        [dy, dx]: Vector,
    ) -> [[u8; SIDE]; SIDE] {
        let (dy, dx) = (i32::from(dy), i32::from(dx));
        let (y, x) = (2 * y as i32, 2 * x as i32);
        let mut rows = [[0; SIDE]; SIDE];
        let first = self.half(y + (dy >> 1), x + (dx >> 1), SIDE);
        for (row, out) in rows.iter_mut().enumerate() {
            out.copy_from_slice(&first[row * self.stride..][..SIDE]);
        }
        if (dy | dx) & 1 == 1 {
            let second = self.half(y + ((dy + 1) >> 1), x + ((dx + 1) >> 1), SIDE);
            for (row, out) in rows.iter_mut().enumerate() {
                mean(out, &second[row * self.stride..][..SIDE]);
            }
        }
        rows
    }
}

/// Replaces samples by their means with others, rounded up.
fn mean(samples: &mut [u8], others: &[u8]) {
    for (sample, other) in samples.iter_mut().zip(others) {
        *sample = (u16::from(*sample) + u16::from(*other)).div_ceil(2) as u8;
    }
}

/// What the motion of a cell predicts at `(y, x)`.
#[inline]
pub(super) fn predicted<const SIDE: usize>(
    references: &[&Reference],
    cell: &Cell,
    y: usize,
    x: usize,
) -> [[u8; SIDE]; SIDE] {
    let block = |list: usize| references[list].block::<SIDE>(y, x, cell.vectors[list]);
    match cell.lists {
        3 => {
            let mut first = block(0);
            for (samples, others) in first.iter_mut().zip(&block(1)) {
                mean(samples, others);
            }
            first
        }
        2 => block(1),
        _ => block(0),
    }
}

/// Predicts the luma of a frame.
pub(super) fn luma(
    references: &[&Reference],
    field: &Field,
    width: usize,
    height: usize,
    run: &Run<'_>,
) -> Result<Vec<u8>, Error> {
    const HALF: usize = CELL / 2;
    let mut samples = try_vec(0, width * height)?;
    run.for_each_chunk(&mut samples, CELL * width, |y, out| {
        for x in 0..width.div_ceil(CELL) {
            let own = field.cell(y, x);
            let nearest = |place: usize, half: usize, len: usize| match half {
                0 => place.saturating_sub(1),
                _ => (place + 1).min(len - 1),
            };
            for half in 0..4 {
                let (down, right) = (half / 2, half % 2);
                let (other_y, other_x) = (nearest(y, down, field.height), nearest(x, right, field.width));
                let (first_y, first_x) = (y * CELL + down * HALF, x * CELL + right * HALF);
                if first_y >= height || first_x >= width {
                    continue;
                }
                let cells =
                    [own, field.cell(y, other_x), field.cell(other_y, x), field.cell(other_y, other_x)];
                let block = |cell: &Cell| predicted::<HALF>(references, cell, first_y, first_x);
                let mut sums = [[128_u32; HALF]; HALF];
                if cells.iter().all(|cell| *cell == own) {
                    sums = block(&own).map(|row| row.map(|sample| u32::from(sample) << 8));
                } else {
                    for (index, cell) in cells.iter().enumerate() {
                        let weight = |place: usize, half: usize, is_other: bool| {
                            let away = (2 * (place + half * HALF)).abs_diff(CELL - 1) as u32;
                            if is_other { away } else { 2 * CELL as u32 - away }
                        };
                        for (row, samples) in block(cell).iter().enumerate() {
                            let of_row = weight(row, down, index >= 2);
                            for (column, sample) in samples.iter().enumerate() {
                                let weight = of_row * weight(column, right, index % 2 == 1);
                                sums[row][column] += weight * u32::from(*sample);
                            }
                        }
                    }
                }
                let n_columns = HALF.min(width - first_x);
                for (row, sums) in sums.iter().enumerate().take(height - first_y) {
                    let out = &mut out[(down * HALF + row) * width + first_x..][..n_columns];
                    out.iter_mut().zip(sums).for_each(|(out, sum)| *out = (sum >> 8) as u8);
                }
            }
        }
        Ok(())
    })?;
    Ok(samples)
}

/// Predicts a plane of chroma, which has half the samples of luma in both directions: by the vectors of cells, in eighths of a sample, with
/// the mean of the four nearest samples by their distance.
pub(super) fn chroma(
    references: &[&[u8]],
    field: &Field,
    width: usize,
    height: usize,
    run: &Run<'_>,
) -> Result<Vec<u8>, Error> {
    const SIDE: usize = CELL / 2;
    let mut samples = try_vec(0, width * height)?;
    run.for_each_chunk(&mut samples, SIDE * width, |cell_y, out| {
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            for (cell_x, out) in out.chunks_mut(SIDE).enumerate() {
                let cell = field.cell(cell_y, cell_x);
                for (column, out) in out.iter_mut().enumerate() {
                    let (y, x) = ((cell_y * SIDE + row) as i32, (cell_x * SIDE + column) as i32);
                    let sample = |list: usize| {
                        let [dy, dx] = cell.vectors[list].map(i32::from);
                        let at = |y: i32, x: i32| {
                            let (y, x) = (y.clamp(0, height as i32 - 1), x.clamp(0, width as i32 - 1));
                            i32::from(references[list][y as usize * width + x as usize])
                        };
                        let (y, x, down, right) = (y + (dy >> 3), x + (dx >> 3), dy & 7, dx & 7);
                        let upper = (8 - right) * at(y, x) + right * at(y, x + 1);
                        let lower = (8 - right) * at(y + 1, x) + right * at(y + 1, x + 1);
                        ((8 - down) * upper + down * lower + 32) >> 6
                    };
                    *out = match cell.lists {
                        3 => (sample(0) + sample(1) + 1) >> 1,
                        2 => sample(1),
                        _ => sample(0),
                    } as u8;
                }
            }
        }
        Ok(())
    })?;
    Ok(samples)
}
