//! Discrete wavelet transforms of planes by lifting: the biorthogonal 9/7 of Cohen, Daubechies and Feauveau, scaled to be nearly
//! orthonormal, for lossy coding, and the integer 5/3 of Le Gall and Tabatabai for lossless coding (Daubechies and Sweldens, *Factoring
//! wavelet transforms into lifting steps*, 1998; Calderbank et al., *Wavelet transforms that map integers to integers*, 1998).
//!
//! ```text
//! +-------+-------+---------------+
//! | LL  2 | HL  2 |               |     HL: high horizontally, low vertically; LH and HH accordingly.
//! +-------+-------+     HL  1     |     A side of n samples has ceil(n / 2) low and floor(n / 2) high ones.
//! | LH  2 | HH  2 |               |     Signals are continued by reflection about their first and last samples.
//! +-------+-------+---------------+
//! |               |               |
//! |     LH  1     |     HH  1     |
//! |               |               |
//! +---------------+---------------+
//! ```
//!
//! The 9/7 takes sums and products of float32, each rounded once and in the order written here, so that its results are the same
//! on every machine.

mod lifting;

pub use lifting::{FiveThree, Lifting, NineSeven};

use crate::Error;
use crate::error::try_vec;

/// Samples of a band, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane<T> {
    /// Samples of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// All of them.
    pub samples: Vec<T>,
}

impl<T: Copy + Default> Plane<T> {
    /// A plane of zeros.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(width: usize, height: usize) -> Result<Self, Error> {
        Ok(Plane { width, height, samples: try_vec(T::default(), width * height)? })
    }

    /// A row.
    pub fn row(&self, y: usize) -> &[T] {
        &self.samples[y * self.width..][..self.width]
    }

    /// A row, to be written.
    pub fn row_mut(&mut self, y: usize) -> &mut [T] {
        &mut self.samples[y * self.width..][..self.width]
    }
}

/// The bands of a plane.
pub struct Bands<T> {
    /// What is low in both directions at the coarsest level.
    pub low: Plane<T>,
    /// HL, LH and HH of each level, the finest one first.
    pub details: Vec<[Plane<T>; 3]>,
}

impl<T: Copy + Default> Bands<T> {
    /// Bands of zeros, of a plane with these sides.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(width: usize, height: usize, n_levels: usize) -> Result<Self, Error> {
        let (mut width, mut height, mut details) = (width, height, Vec::new());
        details.try_reserve_exact(n_levels)?;
        for _ in 0..n_levels {
            let (low_width, low_height) = sides(width, height, 1);
            let (high_width, high_height) = (width / 2, height / 2);
            details.push([
                Plane::new(high_width, low_height)?,
                Plane::new(low_width, high_height)?,
                Plane::new(high_width, high_height)?,
            ]);
            (width, height) = (low_width, low_height);
        }
        Ok(Bands { low: Plane::new(width, height)?, details })
    }
}

/// The bands of `n_levels` levels.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn forward<L: Lifting>(mut plane: Plane<L::Sample>, n_levels: usize) -> Result<Bands<L::Sample>, Error> {
    let mut details = Vec::new();
    details.try_reserve_exact(n_levels)?;
    for _ in 0..n_levels {
        split_rows::<L>(&mut plane)?;
        lift_columns::<L>(&mut plane, false);
        let (low, bands) = to_bands::<L>(&plane)?;
        plane = low;
        details.push(bands);
    }
    Ok(Bands { low: plane, details })
}

/// The plane of these bands; or, without the finest ones, a smaller one.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn inverse<L: Lifting>(bands: Bands<L::Sample>) -> Result<Plane<L::Sample>, Error> {
    let mut low = bands.low;
    for level in bands.details.into_iter().rev() {
        let mut plane = from_bands::<L>(&low, &level)?;
        lift_columns::<L>(&mut plane, true);
        join_rows::<L>(&mut plane)?;
        low = plane;
    }
    Ok(low)
}

/// Each row becomes its low samples and then its high ones.
fn split_rows<L: Lifting>(plane: &mut Plane<L::Sample>) -> Result<(), Error> {
    let mut row = try_vec(L::Sample::default(), plane.width)?;
    for y in 0..plane.height {
        let samples = plane.row_mut(y);
        let (low, high) = row.split_at_mut(samples.len().div_ceil(2));
        let (pairs, last) = samples.as_chunks::<2>();
        for ((low, high), pair) in low.iter_mut().zip(high.iter_mut()).zip(pairs) {
            (*low, *high) = (pair[0], pair[1]);
        }
        if let [last] = last {
            low[pairs.len()] = *last;
        }
        for step in 0..L::N_STEPS {
            lift_row::<L>(step, false, low, high);
        }
        samples.copy_from_slice(&row);
    }
    Ok(())
}

fn join_rows<L: Lifting>(plane: &mut Plane<L::Sample>) -> Result<(), Error> {
    let mut row = try_vec(L::Sample::default(), plane.width)?;
    for y in 0..plane.height {
        let samples = plane.row_mut(y);
        row.copy_from_slice(samples);
        let (low, high) = row.split_at_mut(samples.len().div_ceil(2));
        for step in (0..L::N_STEPS).rev() {
            lift_row::<L>(step, true, low, high);
        }
        let (pairs, last) = samples.as_chunks_mut::<2>();
        if let [last] = last {
            *last = low[pairs.len()];
        }
        for ((low, high), pair) in low.iter().zip(high.iter()).zip(pairs) {
            *pair = [*low, *high];
        }
    }
    Ok(())
}

/// One step along a row.
fn lift_row<L: Lifting>(step: usize, inverse: bool, low: &mut [L::Sample], high: &mut [L::Sample]) {
    let n_high = high.len();
    if n_high == 0 {
        return;
    }
    if step.is_multiple_of(2) {
        // High sample i lies between low ones i and i + 1.
        let (inner, last) = high.split_at_mut(n_high - 1);
        L::lift(step, inverse, inner, &low[..n_high - 1], &low[1..n_high]);
        let right = low.get(n_high).unwrap_or(&low[n_high - 1]);
        L::lift(step, inverse, last, &[low[n_high - 1]], &[*right]);
    } else {
        // Low sample i lies between high ones i - 1 and i.
        let (first, rest) = low.split_at_mut(1);
        L::lift(step, inverse, first, &high[..1], &high[..1]);
        let (inner, last) = rest.split_at_mut(n_high - 1);
        L::lift(step, inverse, inner, &high[..n_high - 1], &high[1..]);
        let right = &high[n_high - 1..];
        L::lift(step, inverse, last, &right[..last.len()], &right[..last.len()]);
    }
}

/// All steps along the columns, whose even samples are the low ones.
fn lift_columns<L: Lifting>(plane: &mut Plane<L::Sample>, inverse: bool) {
    let (width, height) = (plane.width, plane.height);
    if height < 2 {
        return;
    }
    for index in 0..L::N_STEPS {
        let step = if inverse { L::N_STEPS - 1 - index } else { index };
        let first = 1 - step % 2;
        for y in (first..height).step_by(2) {
            let (above, rest) = plane.samples.split_at_mut(y * width);
            let (row, below) = rest.split_at_mut(width);
            let above = above.rchunks_exact(width).next();
            let below = below.chunks_exact(width).next();
            if let (Some(left), Some(right)) = (above.or(below), below.or(above)) {
                L::lift(step, inverse, row, left, right);
            }
        }
    }
}

/// LL, and HL, LH and HH.
type Split<T> = (Plane<T>, [Plane<T>; 3]);

/// The bands of lifted samples.
fn to_bands<L: Lifting>(plane: &Plane<L::Sample>) -> Result<Split<L::Sample>, Error> {
    let (n_low, n_high) = (plane.width.div_ceil(2), plane.width / 2);
    let (low_rows, high_rows) = (plane.height.div_ceil(2), plane.height / 2);
    let mut low = Plane::new(n_low, low_rows)?;
    let mut bands =
        [Plane::new(n_high, low_rows)?, Plane::new(n_low, high_rows)?, Plane::new(n_high, high_rows)?];
    for y in 0..plane.height {
        let (left, right) = plane.row(y).split_at(n_low);
        let [high_low, low_high, high_high] = &mut bands;
        if y % 2 == 0 {
            L::scale(low.row_mut(y / 2), left, true);
            high_low.row_mut(y / 2).copy_from_slice(right);
        } else {
            low_high.row_mut(y / 2).copy_from_slice(left);
            L::scale(high_high.row_mut(y / 2), right, false);
        }
    }
    Ok((low, bands))
}

fn from_bands<L: Lifting>(
    low: &Plane<L::Sample>,
    [high_low, low_high, high_high]: &[Plane<L::Sample>; 3],
) -> Result<Plane<L::Sample>, Error> {
    let (width, height) = (low.width + high_low.width, low.height + low_high.height);
    let mut plane = Plane::new(width, height)?;
    for y in 0..height {
        let (left, right) = plane.row_mut(y).split_at_mut(low.width);
        if y % 2 == 0 {
            L::scale(left, low.row(y / 2), false);
            right.copy_from_slice(high_low.row(y / 2));
        } else {
            left.copy_from_slice(low_high.row(y / 2));
            L::scale(right, high_high.row(y / 2), true);
        }
    }
    Ok(plane)
}

/// How many times as large as the mean of a plane that of LL is by the 9/7: 2 for each level, except for sides of one sample.
pub fn gain(width: usize, height: usize, n_levels: usize) -> f32 {
    let of_level = |level| {
        let (width, height) = sides(width, height, level);
        let of_side = |side| if side > 1 { NineSeven::K } else { 1.0 };
        NineSeven::LOW * of_side(width) * of_side(height)
    };
    (0..n_levels).map(of_level).product()
}

/// The sides of a plane at `level`, counted from 0 for the whole one.
pub fn sides(width: usize, height: usize, level: usize) -> (usize, usize) {
    let side = |n: usize| n.div_ceil(1 << level);
    (side(width), side(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The 9/7 by its filters: analysis of `signal`, continued by reflection, with the taps of the standard.
    fn analysis(signal: &[f64], taps: &[f64], first: i64) -> Vec<f64> {
        let n = signal.len() as i64;
        let reflected = |index: i64| {
            let period = (2 * (n - 1)).max(1);
            let index = index.rem_euclid(period);
            signal[index.min(period - index).min(n - 1) as usize]
        };
        let half = taps.len() as i64 - 1;
        let at = |center: i64| {
            (-half..=half).map(|k| taps[k.unsigned_abs() as usize] * reflected(center + k)).sum()
        };
        (first..n).step_by(2).map(at).collect()
    }

    const LOW_TAPS: [f64; 5] =
        [0.602949018236, 0.266864118443, -0.078223266529, -0.016864118443, 0.026748757411];
    const HIGH_TAPS: [f64; 4] = [1.115087052457, -0.591271763114, -0.057543526229, 0.091271763114];

    fn numbers(n: usize) -> Vec<f32> {
        (0..n as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as f32 - 128.0).collect()
    }

    #[test]
    fn the_nine_seven_is_the_filters_of_the_standard() {
        for n in [2, 3, 4, 5, 8, 9, 17, 64, 101] {
            let signal = numbers(n);
            let plane = Plane { width: n, height: 1, samples: signal.clone() };
            let bands = forward::<NineSeven>(plane, 1).unwrap();
            let exact: Vec<f64> = signal.iter().map(|value| f64::from(*value)).collect();
            // The standard's filters have the gains 1 and 2: lifting, K and 2 / K. LL is scaled once more.
            const K: f64 = 1.230_174_104_914;
            let low_scale = f64::from(NineSeven::LOW);
            for (ours, theirs) in bands.low.samples.iter().zip(analysis(&exact, &LOW_TAPS, 0)) {
                assert!((f64::from(*ours) / low_scale - theirs * K).abs() < 1e-3, "{n}");
            }
            for (ours, theirs) in bands.details[0][0].samples.iter().zip(analysis(&exact, &HIGH_TAPS, 1)) {
                assert!((f64::from(*ours) - theirs / K).abs() < 1e-3, "{n} {ours} {theirs}");
            }
        }
    }

    #[test]
    fn planes_come_back() {
        for (width, height) in [(1, 1), (1, 7), (7, 1), (2, 2), (3, 5), (16, 16), (33, 18), (100, 77)] {
            for n_levels in 0..6 {
                let samples = numbers(width * height);
                let plane = Plane { width, height, samples: samples.clone() };
                let back = inverse::<NineSeven>(forward::<NineSeven>(plane, n_levels).unwrap()).unwrap();
                assert_eq!((back.width, back.height), (width, height));
                assert!(back.samples.iter().zip(&samples).all(|(a, b)| (a - b).abs() < 1e-3));
                let whole: Vec<i32> = samples.iter().map(|value| *value as i32 * 500).collect();
                let plane = Plane { width, height, samples: whole.clone() };
                let back = inverse::<FiveThree>(forward::<FiveThree>(plane, n_levels).unwrap()).unwrap();
                assert_eq!(back.samples, whole);
            }
        }
    }

    #[test]
    fn the_nine_seven_nearly_keeps_the_energy() {
        let (width, height) = (128, 96);
        let samples = numbers(width * height);
        let energy = |samples: &[f32]| samples.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>();
        let before = energy(&samples);
        let bands = forward::<NineSeven>(Plane { width, height, samples }, 3).unwrap();
        let details = bands.details.iter().flatten().map(|band| energy(&band.samples)).sum::<f64>();
        assert!((0.9..1.1).contains(&((details + energy(&bands.low.samples)) / before)));
    }

    #[test]
    fn sides_are_those_of_the_bands() {
        for (width, height) in [(1, 1), (5, 9), (64, 33)] {
            let plane = Plane { width, height, samples: vec![0; width * height] };
            let bands = forward::<FiveThree>(plane, 4).unwrap();
            assert_eq!((bands.low.width, bands.low.height), sides(width, height, 4));
        }
    }
}
