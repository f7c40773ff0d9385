//! Samples of pictures to planes, and back.
//!
//! Lossy: luma and two differences (ITU-R BT.601), each times the norm of its column of the inverse matrix, so that an error of
//! one plane is as large in the colours. Sums and products of float32, each rounded once, in the order written here.
//! Lossless: YCoCg-R (Malvar and Sullivan, *YCoCg-R: A color space with RGB reversibility and low dynamic range*, 2003).

use super::{Kind, MAX_CHANNELS, Samples, SamplesOf};
use crate::error::{try_collect, try_vec};
use crate::wavelet::Plane;
use crate::{Error, Run};

/// Norms of the columns of the inverse matrix.
const NORMS: [f32; MAX_CHANNELS] = [1.732_050_8, 1.805_107_6, 1.573_401_8];

/// Weights of red, green and blue in luma.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// Red less luma, and blue less luma, by the factors that keep them from -128 to 128.
const RED: f32 = 1.402;
const BLUE: f32 = 1.772;

/// Rows of pixels that are a task.
const ROWS_PER_TASK: usize = 64;

/// The planes of a picture with losses.
pub(super) fn to_planes(samples: &[u8], kind: Kind, run: &Run<'_>) -> Result<Vec<Plane<f32>>, Error> {
    let plane = |_: &mut (), channel: usize| {
        let mut plane = Plane::new(kind.width, kind.height)?;
        let norm = NORMS[channel];
        match kind.n_channels {
            1 => plane
                .samples
                .iter_mut()
                .zip(samples)
                .for_each(|(out, sample)| *out = norm * (f32::from(*sample) - 128.0)),
            _ => {
                let (pixels, _) = samples.as_chunks::<3>();
                for (out, pixel) in plane.samples.iter_mut().zip(pixels) {
                    let [red, green, blue] = pixel.map(f32::from);
                    let luma = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue;
                    *out = norm
                        * match channel {
                            0 => luma - 128.0,
                            1 => (blue - luma) * (1.0 / BLUE),
                            _ => (red - luma) * (1.0 / RED),
                        };
                }
            }
        }
        Ok(plane)
    };
    run.map_tasks(kind.n_channels, || Ok(()), plane)
}

/// The picture of planes with losses, whose samples are `gain` times too large.
pub(super) fn to_samples(planes: &[Plane<f32>], gain: f32, run: &Run<'_>) -> Result<Vec<u8>, Error> {
    let (n_channels, width) = (planes.len(), planes[0].width);
    let mut samples = try_vec(0, planes[0].samples.len() * n_channels)?;
    let factors = NORMS.map(|norm| 1.0 / (norm * gain));
    let rounded = |value: f32| (value + 128.5).clamp(0.0, 255.0) as u8;
    let pixels_per_task = ROWS_PER_TASK * width;
    run.for_each_chunk(&mut samples, pixels_per_task * n_channels, |task, out| {
        let first = task * pixels_per_task;
        match planes {
            [luma] => {
                for (out, luma) in out.iter_mut().zip(&luma.samples[first..]) {
                    *out = rounded(luma * factors[0]);
                }
            }
            _ => {
                let (pixels, _) = out.as_chunks_mut::<3>();
                let [luma, blues, reds] =
                    [0, 1, 2].map(|channel: usize| &planes[channel].samples[first..][..pixels.len()]);
                for (index, pixel) in pixels.iter_mut().enumerate() {
                    let luma = luma[index] * factors[0];
                    let blue = luma + BLUE * (blues[index] * factors[1]);
                    let red = luma + RED * (reds[index] * factors[2]);
                    let green = (luma - LUMA[0] * red - LUMA[2] * blue) * (1.0 / LUMA[1]);
                    *pixel = [red, green, blue].map(rounded);
                }
            }
        }
        Ok(())
    })?;
    Ok(samples)
}

/// The planes of a picture without losses.
pub(super) fn to_integers(samples: Samples<'_>, kind: Kind) -> Result<Vec<Plane<i32>>, Error> {
    let planes = try_collect((0..kind.n_channels).map(|_| Plane::new(kind.width, kind.height)))?;
    let mut planes = planes.into_iter().collect::<Result<Vec<_>, _>>()?;
    match (samples, &mut planes[..]) {
        (SamplesOf::Eight(samples), [luma, green, orange]) => {
            let (pixels, _) = samples.as_chunks::<3>();
            for (index, pixel) in pixels.iter().enumerate() {
                let [red, green_sample, blue] = pixel.map(i32::from);
                let difference = red - blue;
                let middle = blue + (difference >> 1);
                orange.samples[index] = difference;
                green.samples[index] = green_sample - middle;
                luma.samples[index] = middle + ((green_sample - middle) >> 1) - 128;
            }
        }
        (SamplesOf::Eight(samples), planes) => {
            planes[0]
                .samples
                .iter_mut()
                .zip(samples)
                .for_each(|(out, sample)| *out = i32::from(*sample) - 128);
        }
        (SamplesOf::Sixteen(samples), planes) => {
            planes[0]
                .samples
                .iter_mut()
                .zip(samples)
                .for_each(|(out, sample)| *out = i32::from(*sample) - (1 << 15));
        }
    }
    Ok(planes)
}

/// The picture of planes without losses. Values that no picture has are cut off.
pub(super) fn from_integers(
    planes: &[Plane<i32>],
    n_bits: u32,
) -> Result<SamplesOf<Vec<u8>, Vec<u16>>, Error> {
    let n_pixels = planes[0].samples.len();
    match planes {
        [luma, green, orange] => {
            let mut samples = try_vec(0, 3 * n_pixels)?;
            let (pixels, _) = samples.as_chunks_mut::<3>();
            for (index, pixel) in pixels.iter_mut().enumerate() {
                let [luma, green, orange] = [luma, green, orange].map(|plane| plane.samples[index]);
                let middle = luma.wrapping_add(128).wrapping_sub(green >> 1);
                let blue = middle.wrapping_sub(orange >> 1);
                let colours = [blue.wrapping_add(orange), green.wrapping_add(middle), blue];
                *pixel = colours.map(|colour| colour.clamp(0, 255) as u8);
            }
            Ok(SamplesOf::Eight(samples))
        }
        planes if n_bits == 8 => {
            let values = planes[0].samples.iter().map(|value| value.saturating_add(128).clamp(0, 255) as u8);
            Ok(SamplesOf::Eight(try_collect(values)?))
        }
        planes => {
            let values =
                planes[0].samples.iter().map(|value| value.saturating_add(1 << 15).clamp(0, 65_535) as u16);
            Ok(SamplesOf::Sixteen(try_collect(values)?))
        }
    }
}
