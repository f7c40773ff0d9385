//! Block motion: for each block of a frame, the vectors to the blocks of a reference that are most like it, by full search of a window or
//! by a fast search of a part of it (`predictive`).
//!
//! ```text
//!   reference, continued beyond its edges            a block of the frame at (y, x) is compared with the
//!   +---------------------------------+              blocks of the reference at (y + dy, x + dx), dy and dx
//!   |   window of a block             |              from -radius to radius
//!   |   +-----------------------+     |
//!   |   | (-r, -r) ... (-r, r)  |     |              costs of a block: a row for each dy, in it one for each dx,
//!   |   |    .           .      |     |              filled up to a multiple of 8
//!   |   | (r, -r)  ... (r, r)   |     |
//!   |   +-----------------------+     |
//!   +---------------------------------+
//! ```
//!
//! The cost is the sum of absolute differences (SAD), or the number of bits by which binary planes differ (the one-bit transform:
//! Natarajan, Bhaskaran and Konstantinides, *Low-complexity block-based motion estimation via one-bit transforms*, 1997). Candidates are
//! ordered by cost, then by `|dy| + |dx|`, then by `dy`, then by `dx`: the same at every level. Samples beyond an edge are those of the
//! edge, in both frames, so that blocks at the right and lower edges may be incomplete.

mod portable;
mod predictive;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

pub use predictive::predictive_search;

use crate::error::{check_len, try_collect, try_push, try_vec};
use crate::level::at_level;
use crate::{Error, Level, Run};

/// The largest radius whose candidates have ranks of 16 bits.
pub const MAX_RADIUS: usize = 127;

/// Planes of a frame that are searched together: costs of more would not fit 16 bits.
pub const MAX_BANDS: usize = 8;

/// The longest side of a frame.
pub const MAX_SIDE: usize = 65_535;

/// Candidates that a vector kernel compares together.
const LANES: usize = 32;

/// Elements that kernels may load from a place on: rows have as many or more, and as many follow the last one.
const SLACK: usize = 2 * LANES;

/// Bytes that hold the samples of a window, wherever in the first byte it begins, and one more.
const WINDOW_BYTES: usize = 4;

/// A search asks whether to stop after this many blocks: less than a tenth of a second of portable code, at the largest radius.
const BLOCKS_PER_CHECK: usize = 64;

/// Costs of a row of candidates are this many, or a multiple.
const COSTS_PER_CHUNK: usize = 8;

/// Samples of a block on a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// 8 x 8.
    Eight,
    /// 16 x 16.
    Sixteen,
}

impl Block {
    /// The block of this side.
    ///
    /// # Errors
    /// [`Error::Incompatible`] if there is none.
    pub fn new(side: usize) -> Result<Self, Error> {
        match side {
            8 => Ok(Block::Eight),
            16 => Ok(Block::Sixteen),
            _ => Err(Error::Incompatible { problem: format!("block must be 8 or 16; got {side}") }),
        }
    }

    /// Samples of a side.
    pub fn side(self) -> usize {
        match self {
            Block::Eight => 8,
            Block::Sixteen => 16,
        }
    }
}

/// Samples of 8 bits, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    samples: &'a [u8],
    width: usize,
    height: usize,
}

impl<'a> Image<'a> {
    /// A view of `height` rows of `width` samples.
    ///
    /// # Errors
    /// [`Error::Range`] or [`Error::Length`].
    pub fn new(name: &'static str, samples: &'a [u8], width: usize, height: usize) -> Result<Self, Error> {
        check_sides(name, width, height)?;
        check_len(name, "samples", samples.len(), width * height)?;
        Ok(Image { samples, width, height })
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn height(&self) -> usize {
        self.height
    }

    fn row(&self, y: usize) -> &'a [u8] {
        &self.samples[y * self.width..][..self.width]
    }
}

/// Binary planes of a frame: for each, rows of packed bits, the first sample of a row being the highest bit of its first byte.
#[derive(Clone, Copy, Debug)]
pub struct Planes<'a> {
    bytes: &'a [u8],
    n_bands: usize,
    width: usize,
    height: usize,
}

impl<'a> Planes<'a> {
    /// A view of `n_bands` planes of `height` rows of `width` bits.
    ///
    /// # Errors
    /// [`Error::Range`] or [`Error::Length`].
    pub fn new(
        name: &'static str,
        bytes: &'a [u8],
        n_bands: usize,
        width: usize,
        height: usize,
    ) -> Result<Self, Error> {
        if !(1..=MAX_BANDS).contains(&n_bands) {
            return Err(Error::Range { name, unit: "planes", given: n_bands, low: 1, high: MAX_BANDS });
        }
        check_sides(name, width, height)?;
        check_len(name, "bytes", bytes.len(), n_bands * height * width.div_ceil(8))?;
        Ok(Planes { bytes, n_bands, width, height })
    }

    fn row(&self, band: usize, y: usize) -> &'a [u8] {
        let n_bytes = self.width.div_ceil(8);
        &self.bytes[(band * self.height + y) * n_bytes..][..n_bytes]
    }

    /// Fills `rows` with the bits of the block at `(y, x)`, a multiple of 8, as [`Padded`] holds them.
    fn block(&self, band: usize, y: usize, x: usize, rows: &mut [u16]) {
        let side = rows.len();
        // Bits beyond the edge, if any.
        let beyond = u16::MAX.checked_shr((self.width - x) as u32).unwrap_or(0);
        let last = self.width - 1;
        for (row, out) in rows.iter_mut().enumerate() {
            let bytes = self.row(band, (y + row).min(self.height - 1));
            let byte = |index: usize| bytes.get(x / 8 + index).copied().unwrap_or(0);
            let bits = u16::from_be_bytes([byte(0), byte(1)]);
            let edge = if bytes[last / 8] >> (7 - last % 8) & 1 == 1 { beyond } else { 0 };
            *out = (bits & !beyond | edge) >> (16 - side);
        }
    }
}

fn check_sides(name: &'static str, width: usize, height: usize) -> Result<(), Error> {
    for (unit, given) in [("columns", width), ("rows", height)] {
        if !(1..=MAX_SIDE).contains(&given) {
            return Err(Error::Range { name, unit, given, low: 1, high: MAX_SIDE });
        }
    }
    Ok(())
}

fn check_same(unit: &'static str, first: usize, second: usize) -> Result<(), Error> {
    if first == second {
        return Ok(());
    }
    let hint = "both must be of the same size";
    Err(Error::Mismatch { unit, first: ("frame", first), second: ("reference", second), hint })
}

/// How blocks are searched.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The blocks.
    pub block: Block,
    /// The largest component of a vector.
    pub radius: usize,
}

impl Window {
    /// Checks that `k` of its candidates can be found.
    fn check(self, k: usize) -> Result<(), Error> {
        if self.radius > MAX_RADIUS {
            return Err(Error::Range {
                name: "radius",
                unit: "",
                given: self.radius,
                low: 0,
                high: MAX_RADIUS,
            });
        }
        let most = self.n() * self.n();
        match k {
            _ if (1..=most).contains(&k) => Ok(()),
            given => Err(Error::Range { name: "k", unit: "", given, low: 1, high: most }),
        }
    }

    /// Candidates on a side.
    fn n(self) -> usize {
        2 * self.radius + 1
    }

    /// Costs of a row of candidates.
    fn stride(self) -> usize {
        self.n().next_multiple_of(COSTS_PER_CHUNK)
    }
}

/// How a window is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// All its candidates.
    Full,
    /// From the vectors of neighbours downhill.
    Predictive,
}

/// A plane with margins of its edges, and [`SLACK`] at its end.
pub(crate) struct Padded<T> {
    samples: Vec<T>,
    stride: usize,
}

impl<T: Copy + Default> Padded<T> {
    /// From the windows at `(y, x)` of the plane without its margins on.
    fn window(&self, y: usize, x: usize) -> &[T] {
        &self.samples[y * self.stride + x..]
    }
}

impl Padded<u8> {
    /// An image that blocks fill, with a margin on each side.
    pub(crate) fn new(image: Image<'_>, side: usize, margin: usize) -> Result<Self, Error> {
        let stride = (image.width.next_multiple_of(side) + 2 * margin).max(SLACK);
        let n_rows = image.height.next_multiple_of(side) + 2 * margin;
        let mut samples = try_vec(0, stride * n_rows + SLACK)?;
        for (y, out) in samples.chunks_exact_mut(stride).take(n_rows).enumerate() {
            let row = image.row(y.saturating_sub(margin).min(image.height - 1));
            let (left, rest) = out.split_at_mut(margin);
            let (inner, right) = rest.split_at_mut(row.len());
            left.fill(row[0]);
            inner.copy_from_slice(row);
            right.fill(row[row.len() - 1]);
        }
        Ok(Padded { samples, stride })
    }

    /// The rows of the block at `(y, x)`.
    pub(crate) fn block<const SIDE: usize>(&self, y: usize, x: usize) -> [[u8; SIDE]; SIDE] {
        let mut rows = [[0; SIDE]; SIDE];
        for (row, out) in rows.iter_mut().enumerate() {
            out.copy_from_slice(&self.window(y + row, x)[..SIDE]);
        }
        rows
    }
}

impl Padded<u16> {
    /// A band of binary planes: at each place the bits of as many samples as a block has in a row, those from there on.
    ///
    /// ```text
    /// bit       15 14 13 ...  1  0          of 16: sample x is bit 15, x + 1 bit 14, ...
    /// sample     x      ...  x + 15         of 8: sample x is bit 7
    /// ```
    fn new(level: Level, planes: Planes<'_>, band: usize, side: usize, margin: usize) -> Result<Self, Error> {
        let stride = (planes.width.next_multiple_of(side) + 2 * margin).max(SLACK);
        let n_rows = planes.height.next_multiple_of(side) + 2 * margin;
        let mut samples = try_vec(0_u16, stride * n_rows + SLACK)?;
        // A row with margins, in which samples begin a byte.
        let n_left = margin.div_ceil(8);
        let mut bytes = try_vec(0_u8, n_left + stride.div_ceil(8) + WINDOW_BYTES)?;
        let mut windows = try_vec(0_u16, 8 * bytes.len())?;
        for y in margin..margin + planes.height {
            let row = planes.row(band, y - margin);
            let edge = |x: usize| if row[x / 8] >> (7 - x % 8) & 1 == 1 { 0xff } else { 0 };
            bytes[..n_left].fill(edge(0));
            bytes[n_left..][..row.len()].copy_from_slice(row);
            bytes[n_left + row.len()..].fill(edge(planes.width - 1));
            let n_rest = (8 - planes.width % 8) % 8;
            let last = &mut bytes[n_left + row.len() - 1];
            *last = *last >> n_rest << n_rest | edge(planes.width - 1) & ((1 << n_rest) - 1);

            at_level!(level, windows(&bytes, side, &mut windows));
            samples[y * stride..][..stride].copy_from_slice(&windows[8 * n_left - margin..][..stride]);
        }
        for y in (0..margin).chain(margin + planes.height..n_rows) {
            let from = y.clamp(margin, margin + planes.height - 1) * stride;
            samples.copy_within(from..from + stride, y * stride);
        }
        Ok(Padded { samples, stride })
    }
}

/// What is common to the searches of all blocks: candidates by rank.
struct Ranks {
    /// By place.
    ranks: Vec<u16>,
    /// By rank: dy, dx.
    vectors: Vec<[i16; 2]>,
}

impl Ranks {
    fn new(window: Window) -> Result<Self, Error> {
        let (n, radius) = (window.n(), window.radius as i16);
        let mut vectors =
            try_collect((-radius..=radius).flat_map(|dy| (-radius..=radius).map(move |dx| [dy, dx])))?;
        vectors.sort_unstable_by_key(|[dy, dx]| (dy.abs() + dx.abs(), *dy, *dx));
        let mut ranks = try_vec(0, n * n)?;
        for (rank, [dy, dx]) in vectors.iter().enumerate() {
            ranks[(dy + radius) as usize * n + (dx + radius) as usize] = rank as u16;
        }
        Ok(Ranks { ranks, vectors })
    }
}

/// Costs of the candidates of a block, and what selects among them.
#[derive(Default)]
struct Scratch {
    costs: Vec<u16>,
    minima: Vec<u16>,
    sorted: Vec<u16>,
    /// Costs and ranks.
    keys: Vec<u32>,
}

impl Scratch {
    fn new(window: Window) -> Result<Self, Error> {
        let costs = try_vec(0, window.stride() * window.n())?;
        Ok(Scratch { costs, minima: try_vec(0, window.n())?, ..Scratch::default() })
    }

    /// Fills `keys` with the `k` first candidates in order.
    fn select(&mut self, level: Level, window: Window, ranks: &Ranks, k: usize) -> Result<(), Error> {
        let Scratch { costs, minima, sorted, keys } = self;
        let n = window.n();
        at_level!(level, minima(costs, n, minima));
        // At least k rows have a candidate of this cost or a lower one, so the k first are among these.
        let threshold = match k {
            1 => minima.iter().copied().min().unwrap_or(0),
            _ if k <= n => {
                sorted.clear();
                sorted.try_reserve(n)?;
                sorted.extend_from_slice(minima);
                *sorted.select_nth_unstable(k - 1).1
            }
            _ => u16::MAX,
        };
        keys.clear();
        let rows = costs.chunks_exact(window.stride()).zip(ranks.ranks.chunks_exact(n));
        for ((costs, ranks), _) in rows.zip(minima.iter()).filter(|(_, minimum)| **minimum <= threshold) {
            for (cost, rank) in costs.iter().zip(ranks) {
                if *cost <= threshold {
                    try_push(keys, u32::from(*cost) << 16 | u32::from(*rank))?;
                }
            }
        }
        if keys.len() > k {
            keys.select_nth_unstable(k - 1);
            keys.truncate(k);
        }
        keys.sort_unstable();
        Ok(())
    }
}

/// The `k` vectors of the least SADs of each block, in order, and those SADs: blocks row by row, `[dy, dx]`.
///
/// # Errors
/// [`Error::Mismatch`], [`Error::Range`], [`Error::Length`], [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn search(
    frame: Image<'_>,
    reference: Image<'_>,
    window: Window,
    k: usize,
    vectors: &mut [[i16; 2]],
    costs: &mut [i32],
    run: &Run<'_>,
) -> Result<(), Error> {
    window.check(k)?;
    check_same("columns", frame.width, reference.width)?;
    check_same("rows", frame.height, reference.height)?;
    let side = window.block.side();
    let (surfaces, level) = (Surfaces::new(frame, reference, window)?, run.level());
    of_blocks((frame.width, frame.height), window, k, vectors, costs, run, |scratch, row, column| {
        surfaces.fill(level, row * side, column * side, &mut scratch.costs);
    })
}

/// The SADs of the candidates of blocks.
struct Surfaces {
    frame: Padded<u8>,
    reference: Padded<u8>,
    window: Window,
}

impl Surfaces {
    fn new(frame: Image<'_>, reference: Image<'_>, window: Window) -> Result<Self, Error> {
        let side = window.block.side();
        let frame = Padded::<u8>::new(frame, side, 0)?;
        Ok(Surfaces { frame, reference: Padded::<u8>::new(reference, side, window.radius)?, window })
    }

    /// Fills `costs` with those of the block at `(y, x)`.
    fn fill(&self, level: Level, y: usize, x: usize, costs: &mut [u16]) {
        let (n, stride) = (self.window.n(), self.reference.stride);
        let samples = self.reference.window(y, x);
        match self.window.block {
            Block::Sixteen => {
                at_level!(level, sad_16(&self.frame.block(y, x), samples, stride, n, costs))
            }
            Block::Eight => at_level!(level, sad_8(&self.frame.block(y, x), samples, stride, n, costs)),
        }
    }
}

/// The `k` vectors by which the bits of the planes of each block differ least, in order, and by how many.
///
/// # Errors
/// [`Error::Mismatch`], [`Error::Range`], [`Error::Length`], [`Error::OutOfMemory`], [`Error::Interrupted`].
pub fn one_bit_search(
    frame: Planes<'_>,
    reference: Planes<'_>,
    window: Window,
    k: usize,
    vectors: &mut [[i16; 2]],
    costs: &mut [i32],
    run: &Run<'_>,
) -> Result<(), Error> {
    window.check(k)?;
    check_same("planes", frame.n_bands, reference.n_bands)?;
    check_same("columns", frame.width, reference.width)?;
    check_same("rows", frame.height, reference.height)?;
    let (side, level) = (window.block.side(), run.level());
    let padded = run.map_tasks(
        reference.n_bands,
        || Ok(()),
        |(), band| Padded::<u16>::new(level, reference, band, side, window.radius),
    )?;
    of_blocks((frame.width, frame.height), window, k, vectors, costs, run, |scratch, row, column| {
        let (y, x) = (row * side, column * side);
        scratch.costs.fill(0);
        for (band, padded) in padded.iter().enumerate() {
            let mut rows = [0; 16];
            let rows = &mut rows[..side];
            frame.block(band, y, x, rows);
            let (samples, stride, n) = (padded.window(y, x), padded.stride, window.n());
            at_level!(level, one_bit(rows, samples, stride, n, &mut scratch.costs));
        }
    })
}

/// Selects the `k` best candidates of each block, whose costs `fill` computes.
fn of_blocks(
    (width, height): (usize, usize),
    window: Window,
    k: usize,
    vectors: &mut [[i16; 2]],
    costs: &mut [i32],
    run: &Run<'_>,
    fill: impl Fn(&mut Scratch, usize, usize) + Sync,
) -> Result<(), Error> {
    let side = window.block.side();
    let (n_rows, n_columns) = (height.div_ceil(side), width.div_ceil(side));
    check_len("vectors", "elements", vectors.len(), n_rows * n_columns * k)?;
    check_len("costs", "elements", costs.len(), n_rows * n_columns * k)?;
    let (ranks, level) = (Ranks::new(window)?, run.level());
    let parts = vectors.chunks_mut(n_columns * k).zip(costs.chunks_mut(n_columns * k));
    run.for_each_long_part(
        parts,
        || Scratch::new(window),
        |scratch, row, (vectors, costs), is_stopped| {
            let blocks = vectors.chunks_exact_mut(k).zip(costs.chunks_exact_mut(k));
            for (column, (vectors, costs)) in blocks.enumerate() {
                if column.is_multiple_of(BLOCKS_PER_CHECK) && is_stopped() {
                    return Err(Error::Interrupted);
                }
                fill(scratch, row, column);
                scratch.select(level, window, &ranks, k)?;
                for ((vector, cost), key) in vectors.iter_mut().zip(costs).zip(&scratch.keys) {
                    *vector = ranks.vectors[(key & 0xffff) as usize];
                    *cost = (key >> 16) as i32;
                }
            }
            Ok(())
        },
    )?;
    Ok(())
}

/// The SADs of given vectors, `k` for each block.
///
/// # Errors
/// [`Error::Mismatch`], [`Error::Value`] for a component beyond [`MAX_RADIUS`], [`Error::Length`], [`Error::OutOfMemory`],
/// [`Error::Interrupted`].
pub fn sad(
    frame: Image<'_>,
    reference: Image<'_>,
    block: Block,
    vectors: &[[i16; 2]],
    costs: &mut [i32],
    run: &Run<'_>,
) -> Result<(), Error> {
    check_same("columns", frame.width, reference.width)?;
    check_same("rows", frame.height, reference.height)?;
    let side = block.side();
    let (n_rows, n_columns) = (frame.height.div_ceil(side), frame.width.div_ceil(side));
    let n_blocks = n_rows * n_columns;
    let k = vectors.len() / n_blocks;
    check_len("vectors", "elements", vectors.len(), n_blocks * k)?;
    check_len("costs", "elements", costs.len(), vectors.len())?;
    let too_long = |[dy, dx]: &[i16; 2]| usize::from(dy.unsigned_abs().max(dx.unsigned_abs())) > MAX_RADIUS;
    if let Some(index) = vectors.iter().position(too_long) {
        let value = format!("the vector ({}, {})", vectors[index][0], vectors[index][1]);
        let expected = format!("components from -{MAX_RADIUS} to {MAX_RADIUS}");
        return Err(Error::Value { name: "vectors", value, at: crate::At::Position(index), expected });
    }
    if k == 0 {
        return Ok(());
    }
    let frame = Padded::<u8>::new(frame, side, 0)?;
    let reference = Padded::<u8>::new(reference, side, MAX_RADIUS)?;
    let parts = vectors.chunks(n_columns * k).zip(costs.chunks_mut(n_columns * k));
    run.for_each_part(
        parts,
        || Ok(()),
        |(), row, (vectors, costs)| {
            for (index, ([dy, dx], cost)) in vectors.iter().zip(costs).enumerate() {
                let (y, x) = (row * side, index / k * side);
                let place = |start: usize, offset: i16| {
                    // Clamped, as the array may have changed since it was checked.
                    let offset = isize::from(offset).clamp(-(MAX_RADIUS as isize), MAX_RADIUS as isize);
                    (start + MAX_RADIUS).saturating_add_signed(offset)
                };
                let (samples, stride) = (reference.window(place(y, *dy), place(x, *dx)), reference.stride);
                *cost = match block {
                    Block::Sixteen => portable::sad_of::<16>(&frame.block(y, x), samples, stride),
                    Block::Eight => portable::sad_of::<8>(&frame.block(y, x), samples, stride),
                } as i32;
            }
            Ok(())
        },
    )?;
    Ok(())
}

/// How many costs of a row of `n` candidates vectors of [`LANES`] fill; the few others are computed one by one.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn whole_lanes(n: usize) -> usize {
    const FEW: usize = 4;
    if n % LANES > FEW { n } else { n - n % LANES }
}

const _: () = {
    let widest = 2 * MAX_RADIUS + 1;
    assert!(widest * widest <= 1 << 16);
    assert!(MAX_BANDS * 256 < 1 << 16 && 255 * 256 < 1 << 16);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_bits_hold_the_samples_from_their_place_on() {
        let bytes = [0b1011_0010, 0b0110_0000, 0b0100_1101, 0b1010_0000];
        let planes = Planes::new("planes", &bytes, 1, 11, 2).unwrap();
        let levels = Level::available();
        for (side, level) in
            [8, 16].into_iter().flat_map(|side| levels.iter().map(move |level| (side, *level)))
        {
            let margin = 3;
            let padded = Padded::<u16>::new(level, planes, 0, side, margin).unwrap();
            let bit = |y: usize, x: usize| {
                let y = y.saturating_sub(margin).min(1);
                let x = x.saturating_sub(margin).min(10);
                u16::from(bytes[2 * y + x / 8] >> (7 - x % 8) & 1)
            };
            for y in 0..side + 2 * margin {
                for x in 0..16 + 2 * margin {
                    let expected = (0..side).fold(0, |window, i| window << 1 | bit(y, x + i));
                    assert_eq!(padded.window(y, x)[0], expected, "{side} {y} {x}");
                }
            }
        }
    }
}
