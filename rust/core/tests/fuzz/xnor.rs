//! Products and convolutions of packed bits.

use fastcodes_core::xnor::{
    self, ByteValues, Conv, Filters, Images, Matrix, Operand, Output, Padding, Values,
};
use fastcodes_core::{Codes, Level, Run};
use proptest::prelude::*;

use crate::{content, fuzz};

/// Rows of bits with zeros after the last.
fn rows_of_bits(n_rows: usize, n_bits: usize, stride: usize, eighths: u32, seed: u64) -> Vec<u8> {
    let mut bytes = content(n_rows * stride, eighths, seed);
    let last = n_bits.div_ceil(8) - 1;
    if !n_bits.is_multiple_of(8) {
        bytes.chunks_mut(stride).for_each(|row| row[last] &= !(u8::MAX >> (n_bits % 8)));
    }
    bytes
}

/// A threshold that some sums meet, and sometimes none or all.
fn limit(index: usize, seed: u64, about: usize) -> i32 {
    let random = (index as u64 ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    match random % 16 {
        0 => i32::MIN,
        1 => i32::MAX,
        2 => 0,
        _ => (random % (2 * about as u64 + 2)) as i32 - about as i32,
    }
}

/// All kinds of output of a product; `compute` fills an output with `m` rows and `n` columns.
fn all_outputs(
    [m, n]: [usize; 2],
    about: usize,
    seed: u64,
    mut compute: impl FnMut(Output<'_>),
) -> (Vec<i32>, Vec<u8>, Vec<u8>, Vec<u32>) {
    let thresholds: Vec<i32> = (0..n).map(|column| limit(column, seed, about)).collect();
    let mut flips = content(n.div_ceil(8), 4, seed);
    if let (Some(last), true) = (flips.last_mut(), !n.is_multiple_of(8)) {
        *last &= !(u8::MAX >> (n % 8));
    }
    let scale: Vec<f32> = (0..n).map(|column| limit(column, !seed, 9) as f32 * 0.1).collect();
    let bias: Vec<f32> = (0..n).map(|column| limit(column, seed ^ 1, 9) as f32 * 0.3).collect();
    let mut dots = vec![7; m * n];
    compute(Output::Dots(&mut dots));
    let [mut plain, mut flipped] = [(); 2].map(|()| vec![0xaa; m * n.div_ceil(8)]);
    compute(Output::Bits { thresholds: &thresholds, flips: &[], out: &mut plain });
    compute(Output::Bits { thresholds: &thresholds, flips: &flips, out: &mut flipped });
    let mut floats = vec![f32::NAN; m * n];
    compute(Output::Floats { scale: &scale, bias: &bias, out: &mut floats });
    (dots, plain, flipped, floats.iter().map(|float| float.to_bits()).collect())
}

#[test]
fn xnor_products_of_all_levels_agree() {
    let n_bits =
        prop_oneof![4 => 1usize..600, 2 => (1usize..70).prop_map(|words| words * 64), 1 => 4000usize..9000];
    let shape = (0usize..140, 0usize..300, n_bits, 0usize..9);
    // 0 planes: signs.
    let planes = (0usize..9, any::<bool>(), 0usize..9, any::<bool>());
    let case = (shape, planes, 0u32..9, any::<u32>(), 1usize..4);
    fuzz(case, |((m, n, n_bits, gap), planes, eighths, seed, threads)| {
        let (m, n, n_bits, seed) = (*m, *n, *n_bits, u64::from(*seed));
        let (n_bytes, stride) = (n_bits.div_ceil(8), n_bits.div_ceil(8) + gap);
        let (a_planes, a_signed, b_planes, b_signed) = *planes;
        // Many planes take long, so then there are fewer rows.
        let rows_at_most = 4000 / (a_planes.max(1) * b_planes.max(1)) * 64 / n_bits.max(64) + 5;
        let (m, n) = (m.min(rows_at_most), if a_planes * b_planes > 4 { n.min(70) } else { n });
        let values = |n_planes: usize, signed: bool| match (n_planes, signed) {
            (0, _) => Values::Signs,
            (_, false) => Values::Unsigned,
            (_, true) => Values::TwosComplement,
        };
        let bytes = |n_rows: usize, n_planes: usize, seed: u64| -> Vec<Vec<u8>> {
            let planes = (0..n_planes.max(1)).map(|plane| seed ^ (plane as u64) << 40);
            planes.map(|seed| rows_of_bits(n_rows, n_bits, stride, *eighths, seed)).collect()
        };
        let (a_bytes, b_bytes) = (bytes(m, a_planes, seed), bytes(n, b_planes, !seed));
        let (a_values, b_values) = (values(a_planes, a_signed), values(b_planes, b_signed));
        let view = |plane, n_rows| Codes::strided(plane, n_rows, n_bytes, stride).unwrap();
        let a_views = a_bytes.iter().map(|plane: &Vec<u8>| view(plane, m)).collect();
        let b_views = b_bytes.iter().map(|plane: &Vec<u8>| view(plane, n)).collect();
        let a = Operand::new("a", a_views, a_values, n_bits).unwrap();
        let b = Operand::new("b", b_views, b_values, n_bits).unwrap();
        let answers = |level, threads| {
            let run = &Run::new(level, threads, &|| false);
            let matrix = Matrix::new(&b, run).unwrap();
            all_outputs([m, n], n_bits, seed, |output| xnor::matmul(&a, &matrix, output, run).unwrap())
        };
        let expected = answers(Level::PORTABLE, 1);
        // The portable results are right, too.
        let number = |bytes: &[Vec<u8>], values, row: usize, index: usize| -> i64 {
            let bit = |plane: &[u8]| i64::from(plane[row * stride + index / 8] >> (7 - index % 8) & 1);
            let weights = (0..bytes.len()).map(|plane| match values {
                Values::TwosComplement if plane + 1 == bytes.len() => -(1_i64 << plane),
                _ => 1 << plane,
            });
            let sum: i64 = bytes.iter().zip(weights).map(|(plane, weight)| bit(plane) * weight).sum();
            if values == Values::Signs { 2 * sum - 1 } else { sum }
        };
        for (i, j) in [(0, 0), (m / 2, n / 3), (m.saturating_sub(1), n.saturating_sub(1))] {
            if i < m && j < n {
                let products = (0..n_bits)
                    .map(|index| number(&a_bytes, a_values, i, index) * number(&b_bytes, b_values, j, index));
                prop_assert_eq!(i64::from(expected.0[i * n + j]), products.sum::<i64>(), "dot {}, {}", i, j);
            }
        }
        for level in Level::available() {
            prop_assert!(answers(level, *threads) == expected, "{:?}", level);
        }

        let n_values = n_bits.min(700);
        let integers = content(m * (n_values + gap), 4, seed ^ 2);
        let integers = Codes::strided(&integers, m, n_values, n_values + gap).unwrap();
        let planes = |level, threads| {
            let mut out = vec![0xaa; a_planes.max(1) * m * n_values.div_ceil(8)];
            let run = &Run::new(level, threads, &|| false);
            xnor::planes(integers, a_planes.max(1), &mut out, run).unwrap();
            out
        };
        let expected = planes(Level::PORTABLE, 1);
        for level in Level::available() {
            prop_assert!(planes(level, *threads) == expected, "planes, {:?}", level);
        }

        let signs_bytes = rows_of_bits(n, n_values, n_values.div_ceil(8), *eighths, !seed);
        let signs_rows = Codes::new(&signs_bytes, n, n_values.div_ceil(8)).unwrap();
        let signs = Operand::new("b", vec![signs_rows], Values::Signs, n_values).unwrap();
        let numbers = ByteValues { scale: a_planes as i32 - 4, offset: b_planes as i32 * 7 - 20 };
        let answers = |level, threads| {
            let run = &Run::new(level, threads, &|| false);
            let matrix = Matrix::new(&signs, run).unwrap();
            all_outputs([m, n], n_values, seed, |output| {
                xnor::byte_matmul(integers, numbers, &matrix, output, run).unwrap();
            })
        };
        let expected = answers(Level::PORTABLE, 1);
        for (i, j) in [(0, 0), (m / 2, n / 3), (m.saturating_sub(1), n.saturating_sub(1))] {
            if i < m && j < n {
                let bits = signs_rows.row(j);
                let products = integers.row(i).iter().enumerate().map(|(index, byte)| {
                    let sign = 2 * i32::from(bits[index / 8] >> (7 - index % 8) & 1) - 1;
                    (numbers.offset + numbers.scale * i32::from(*byte)) * sign
                });
                prop_assert_eq!(expected.0[i * n + j], products.sum::<i32>(), "bytes, {}, {}", i, j);
            }
        }
        for level in Level::available() {
            prop_assert!(answers(level, *threads) == expected, "bytes, {:?}", level);
        }
        Ok(())
    });
}

#[test]
fn xnor_convolutions_of_all_levels_agree() {
    let pair = |range: std::ops::Range<usize>| [range.clone(), range];
    // Channels and filters of a group; several groups have whole bytes.
    let shape = (0usize..4, pair(0..14), pair(1..5), 1usize..140, 0usize..40, 1usize..4);
    let conv = (pair(1..4), [pair(0..4), pair(0..4)], 0usize..3, pair(1..3));
    let case = (shape, conv, 0u32..9, any::<u32>(), 1usize..4);
    fuzz(case, |((n, image, kernel, channels, filters, groups), conv, eighths, seed, threads)| {
        let ([height, width], seed, n_groups) = (*image, u64::from(*seed), *groups);
        let whole = |n: usize| if n_groups > 1 { n.next_multiple_of(8) } else { n };
        let (n_channels, n_filters) = (whole(*channels), whole(*filters) * n_groups);
        let (stride, padding, pad_value, dilation) = *conv;
        let pad_value = [Padding::Minus, Padding::Zero, Padding::Plus][pad_value];
        let conv = Conv { stride, padding, pad_value, dilation };
        let Ok([out_height, out_width]) = conv.out_shape(*image, *kernel) else { return Ok(()) };
        let (all_channels, n_bytes) = (n_channels * n_groups, n_channels.div_ceil(8));
        let image_bytes = all_channels.div_ceil(8);
        let images = rows_of_bits(n * height * width, all_channels, image_bytes, *eighths, seed);
        let places = n_filters * kernel[0] * kernel[1];
        let filters = rows_of_bits(places, n_channels, n_bytes, 8 - *eighths, !seed);
        let bits = Images::new(&images, [*n, height, width], image_bytes, all_channels).unwrap();
        let bytes = content(n * height * width * all_channels, 4, seed ^ 3);
        let numbers = ByteValues { scale: 1 + stride[0] as i32, offset: dilation[0] as i32 - 2 };
        let bytes = Images::of_bytes(&bytes, [*n, height, width], all_channels, numbers).unwrap();
        let answers = |level, threads, images| {
            let run = &Run::new(level, threads, &|| false);
            let shape = [n_filters, kernel[0], kernel[1]];
            let prepared = Filters::new(&filters, shape, n_bytes, n_channels, n_groups, run).unwrap();
            let rows = n * out_height * out_width;
            let about = n_channels * kernel[0] * kernel[1];
            let found = all_outputs([rows, n_filters], about, seed, |output| {
                xnor::conv2d(images, &prepared, conv, output, run).unwrap();
            });
            let mut pooled = Vec::new();
            if let Ok([pooled_height, pooled_width]) = xnor::pooled_shape([height, width], *kernel, stride) {
                pooled = vec![0xaa; n * pooled_height * pooled_width * image_bytes];
                xnor::max_pool2d(bits, *kernel, stride, &mut pooled, run).unwrap();
            }
            (found, pooled)
        };
        let expected = answers(Level::PORTABLE, 1, bits);
        // The portable results are possible sums.
        let about = (n_channels * kernel[0] * kernel[1]) as i32;
        prop_assert!(expected.0.0.iter().all(|dot| dot.abs() <= about));
        prop_assert!(pad_value == Padding::Zero || expected.0.0.iter().all(|dot| (dot - about) % 2 == 0));
        let expected_of_bytes = answers(Level::PORTABLE, 1, bytes);
        for level in Level::available() {
            prop_assert!(answers(level, *threads, bits) == expected, "{:?}", level);
            prop_assert!(answers(level, *threads, bytes) == expected_of_bytes, "bytes, {:?}", level);
        }
        Ok(())
    });
}
