//! The xnor family against a few lines of naive code: every level, shapes around every block, every thread count.
#![allow(missing_docs)]

use fastcodes_core::xnor::{
    self, ByteValues, Conv, Filters, Images, Matrix, Operand, Output, Padding, Values, byte_matmul, conv2d,
    max_pool2d,
};
use fastcodes_core::{Codes, Error, Level, Run};

mod common;

use common::Random;

/// Bits by `[row][feature]`, and packed with zeros at the end of each row.
#[derive(Clone)]
struct Bits {
    rows: Vec<Vec<bool>>,
    packed: Vec<u8>,
    n_bytes: usize,
}

impl Bits {
    fn random(n_rows: usize, n_features: usize, seed: u64) -> Bits {
        let mut random = Random::new(seed);
        let mut row = || (0..n_features).map(|_| random.below(2) == 1).collect();
        let rows = (0..n_rows).map(|_| row()).collect();
        Bits::new(rows, n_features)
    }

    fn new(rows: Vec<Vec<bool>>, n_features: usize) -> Bits {
        let n_bytes = n_features.div_ceil(8);
        let mut packed = vec![0; rows.len() * n_bytes];
        for (row, packed) in rows.iter().zip(packed.chunks_mut(n_bytes)) {
            for (index, bit) in row.iter().enumerate() {
                packed[index / 8] |= u8::from(*bit) << (7 - index % 8);
            }
        }
        Bits { rows, packed, n_bytes }
    }
}

/// The numbers that planes stand for.
fn numbers(planes: &[Bits], values: Values) -> Vec<Vec<i32>> {
    let n_planes = planes.len();
    let number = |row: usize, feature: usize| match values {
        Values::Signs => 2 * i32::from(planes[0].rows[row][feature]) - 1,
        _ => (0..n_planes)
            .map(|plane| {
                let is_top = values == Values::TwosComplement && plane + 1 == n_planes;
                i32::from(planes[plane].rows[row][feature]) * if is_top { -(1 << plane) } else { 1 << plane }
            })
            .sum(),
    };
    let n_features = |row: usize| planes[0].rows[row].len();
    (0..planes[0].rows.len()).map(|row| (0..n_features(row)).map(|f| number(row, f)).collect()).collect()
}

fn products(a: &[Vec<i32>], b: &[Vec<i32>]) -> Vec<i32> {
    let dot = |a: &[i32], b: &[i32]| a.iter().zip(b).map(|(a, b)| a * b).sum();
    a.iter().flat_map(|a| b.iter().map(move |b| dot(a, b))).collect()
}

fn operand<'a>(name: &'static str, planes: &'a [Bits], values: Values, n_features: usize) -> Operand<'a> {
    let planes =
        planes.iter().map(|plane| Codes::new(&plane.packed, plane.rows.len(), plane.n_bytes).unwrap());
    Operand::new(name, planes.collect(), values, n_features).unwrap()
}

fn check(a: (&[Bits], Values), b: (&[Bits], Values), n_features: usize) {
    let a_operand = operand("a", a.0, a.1, n_features);
    check_products(&numbers(a.0, a.1), b, n_features, &format!("{:?}", a.1), |matrix, output, run| {
        xnor::matmul(&a_operand, matrix, output, run).unwrap();
    });
}

/// Compares every kind of output of a product with the definition.
fn check_products(
    a: &[Vec<i32>],
    b: (&[Bits], Values),
    n_features: usize,
    kind: &str,
    compute: impl Fn(&Matrix, Output<'_>, &Run<'_>),
) {
    let expected = products(a, &numbers(b.0, b.1));
    let (m, n) = (a.len(), b.0[0].rows.len());
    let b_operand = operand("b", b.0, b.1, n_features);
    let mut random = Random::new(5);
    // Some thresholds are met exactly.
    let thresholds: Vec<i32> =
        (0..n).map(|j| expected.get(j).copied().unwrap_or(0) + random.below(2) as i32).collect();
    let flips = Bits::new(vec![(0..n).map(|_| random.below(2) == 1).collect()], n.max(1));
    let (scale, bias) = (vec![0.1_f32; n], (0..n).map(|j| j as f32 * 0.3).collect::<Vec<_>>());
    for level in Level::available() {
        for threads in [1, 2] {
            let run = &Run::new(level, threads, &|| false);
            let place = format!(
                "{m} x {n} x {n_features} numbers, {kind} by {:?}, {level:?}, {threads} threads",
                b.1
            );
            let matrix = Matrix::new(&b_operand, run).unwrap();
            let mut dots = vec![7; m * n];
            compute(&matrix, Output::Dots(&mut dots), run);
            assert!(dots == expected, "dots of {place}");

            for flips in [&[][..], &flips.packed[..n.div_ceil(8)]] {
                let bit = |index: usize| {
                    let (column, dot) = (index % n, expected[index]);
                    let flip = flips.get(column / 8).is_some_and(|byte| byte >> (7 - column % 8) & 1 == 1);
                    (dot >= thresholds[column]) != flip
                };
                let wanted =
                    Bits::new((0..m).map(|i| (0..n).map(|j| bit(i * n + j)).collect()).collect(), n.max(1));
                let mut packed = vec![0xAA; m * n.div_ceil(8)];
                let output = Output::Bits { thresholds: &thresholds, flips, out: &mut packed };
                compute(&matrix, output, run);
                assert!(packed == wanted.packed[..packed.len()], "bits of {place}");
            }
            let mut floats = vec![0.0; m * n];
            let output = Output::Floats { scale: &scale, bias: &bias, out: &mut floats };
            compute(&matrix, output, run);
            let wanted = expected.iter().enumerate().map(|(index, dot)| *dot as f32 * 0.1 + bias[index % n]);
            assert!(wanted.eq(floats), "floats of {place}");
        }
    }
}

fn signs(m: usize, n: usize, n_features: usize) {
    let (a, b) = (Bits::random(m, n_features, 1), Bits::random(n, n_features, 2));
    check((&[a], Values::Signs), (&[b], Values::Signs), n_features);
}

#[test]
fn every_number_of_features_gives_the_products_of_signs() {
    for n_features in [1, 7, 8, 9, 63, 64, 65, 127, 128, 129, 511, 512, 513, 1000, 4096, 20_000] {
        signs(5, 19, n_features);
        signs(2, 19, n_features);
    }
}

#[test]
fn every_number_of_rows_and_columns_gives_the_products_of_signs() {
    for m in [0, 1, 3, 4, 5, 63, 64, 65, 130] {
        for n in [0, 1, 7, 8, 9, 15, 16, 17, 255, 256, 257] {
            signs(m, n, 40);
        }
    }
    // Several tiles, and several pieces of columns.
    for (m, n, n_features) in [(1, 5000, 64), (4, 5000, 64), (9, 700, 2100), (2, 700, 2100), (70, 130, 4100)]
    {
        signs(m, n, n_features);
    }
}

#[test]
fn rows_too_long_for_a_tile_give_the_products_of_signs() {
    signs(5, 3, 64 * 4096 + 1);
}

#[test]
fn planes_count_as_they_should() {
    let planes = |n: usize, rows: usize, n_features: usize, seed: u64| -> Vec<Bits> {
        (0..n).map(|plane| Bits::random(rows, n_features, seed + plane as u64)).collect()
    };
    let kinds = [Values::Unsigned, Values::TwosComplement];
    for (m, n, n_features) in [(1, 9, 70), (3, 300, 65), (9, 20, 784), (67, 17, 27)] {
        for n_planes in 1..=8 {
            for values in kinds {
                let a = planes(n_planes, m, n_features, 10);
                let b = [Bits::random(n, n_features, 3)];
                check((&a, values), (&b, Values::Signs), n_features);
                let a_bits = [Bits::random(m, n_features, 4)];
                let b_planes = planes(n_planes, n, n_features, 30);
                check((&a_bits, Values::Signs), (&b_planes, values), n_features);
                check((&a_bits, Values::Unsigned), (&b_planes, values), n_features);
            }
        }
        for (a_planes, b_planes) in [(1, 1), (2, 3), (8, 8), (3, 5)] {
            for (a_values, b_values) in kinds.iter().flat_map(|a| kinds.map(|b| (*a, b))) {
                let a = planes(a_planes, m, n_features, 50);
                let b = planes(b_planes, n, n_features, 70);
                check((&a, a_values), (&b, b_values), n_features);
            }
        }
    }
}

#[test]
fn extreme_rows_give_the_extreme_sums() {
    let n_features = 4100;
    let all = |bit: bool, n: usize| Bits::new(vec![vec![bit; n_features]; n], n_features);
    for (a, b) in [(true, true), (true, false), (false, false)] {
        check((&[all(a, 5)], Values::Signs), (&[all(b, 5)], Values::Signs), n_features);
        let eight = |bit: bool| (0..8).map(|_| all(bit, 5)).collect::<Vec<_>>();
        for values in [Values::Unsigned, Values::TwosComplement] {
            check((&eight(a), values), (&eight(b), values), n_features);
        }
    }
}

/// What bytes in rows `stride` apart stand for.
fn numbers_of(bytes: &[u8], numbers: ByteValues, n_features: usize, stride: usize) -> Vec<Vec<i32>> {
    let rows = bytes.chunks(stride).map(|row| &row[..n_features]);
    rows.map(|row| row.iter().map(|byte| numbers.offset + numbers.scale * i32::from(*byte)).collect())
        .collect()
}

fn random_bytes(n: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    // The largest byte is frequent, for large sums.
    (0..n).map(|_| if random.below(4) == 0 { 255 } else { random.below(256) as u8 }).collect()
}

fn bytes_by_signs(m: usize, n: usize, n_features: usize, numbers: ByteValues) {
    let stride = n_features + 3;
    let (a, b) = (random_bytes(m * stride, 1), Bits::random(n, n_features, 2));
    let rows = Codes::strided(&a, m, n_features, stride).unwrap();
    let expected = numbers_of(&a, numbers, n_features, stride);
    check_products(&expected, (&[b], Values::Signs), n_features, "bytes", |matrix, output, run| {
        byte_matmul(rows, numbers, matrix, output, run).unwrap();
    });
}

const PIXELS: ByteValues = ByteValues { scale: 1, offset: 0 };

#[test]
fn bytes_by_signs_give_the_products_of_their_numbers() {
    for n_features in [1, 2, 3, 4, 5, 7, 8, 63, 64, 65, 255, 256, 257, 259, 784, 20_000] {
        for m in [1, 5] {
            bytes_by_signs(m, 19, n_features, PIXELS);
            bytes_by_signs(m, 19, n_features, ByteValues { scale: 2, offset: -15 });
        }
    }
    for m in [0, 1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 130] {
        for n in [0, 1, 15, 16, 17, 31, 32, 33, 47, 64, 65, 255, 256, 257, 300] {
            bytes_by_signs(m, n, 37, ByteValues { scale: -3, offset: 100 });
        }
    }
    // Enough of both for sums of subsets.
    for n_features in [256, 257, 259, 263, 264, 784, 4095, 4096, 4097, 9000] {
        for (m, n) in [(1, 257), (2, 288), (3, 256), (4, 320), (5, 300)] {
            bytes_by_signs(m, n, n_features, PIXELS);
            bytes_by_signs(m, n, n_features, ByteValues { scale: 2, offset: -15 });
        }
    }
    bytes_by_signs(1, 5000, 64, PIXELS);
    bytes_by_signs(9, 700, 2100, PIXELS);
}

#[test]
fn the_largest_bytes_give_the_largest_sums() {
    for n_features in [255, 256, 257, 4100, 5000] {
        for bit in [true, false] {
            let b = Bits::new(vec![vec![bit; n_features]; 257], n_features);
            for m in [1, 9] {
                let a = vec![255; m * n_features];
                let rows = Codes::new(&a, m, n_features).unwrap();
                let expected = numbers_of(&a, PIXELS, n_features, n_features);
                let b = (std::slice::from_ref(&b), Values::Signs);
                check_products(&expected, b, n_features, "bytes", |matrix, output, run| {
                    byte_matmul(rows, PIXELS, matrix, output, run).unwrap();
                });
            }
        }
    }
}

#[test]
fn bytes_that_do_not_fit_are_refused() {
    let run = &Run::serial(Level::PORTABLE);
    let (bytes, signs) = (vec![1; 1 << 20], Bits::random(1, 1 << 20, 1));
    let rows = Codes::new(&bytes, 1, 1 << 20).unwrap();
    let matrix =
        |values| Matrix::new(&operand("b", &[Bits::random(1, 1 << 20, 1)], values, 1 << 20), run).unwrap();
    let multiply =
        |rows, numbers, matrix: &Matrix| byte_matmul(rows, numbers, matrix, Output::Dots(&mut [0]), run);
    let signs_matrix = matrix(Values::Signs);
    assert_eq!(multiply(rows, PIXELS, &signs_matrix), Ok(()));
    let error = multiply(rows, PIXELS, &matrix(Values::Unsigned)).unwrap_err();
    assert!(error.to_string().starts_with("b has bit planes"), "{error}");
    let most = (i32::MAX as usize / 2) / 1025;
    for numbers in [
        ByteValues { scale: 5, offset: -250 },
        ByteValues { scale: -5, offset: 250 },
        ByteValues { scale: 1, offset: -1025 },
    ] {
        let largest = (numbers.offset + 255 * numbers.scale).abs().max(numbers.offset.abs());
        assert_eq!(largest, 1025);
        let error = multiply(rows, numbers, &signs_matrix).unwrap_err();
        let problem = format!("rows have {} numbers", signs.rows[0].len());
        assert!(error.to_string().starts_with(&problem), "{error}");
        assert!(error.to_string().contains(&format!("rows longer than {most} can overflow")), "{error}");
    }
    for numbers in [ByteValues { scale: i32::MAX, offset: 0 }, ByteValues { scale: 0, offset: i32::MIN }] {
        assert!(matches!(multiply(rows, numbers, &signs_matrix), Err(Error::Incompatible { .. })));
    }
    let short = Codes::new(&bytes, 1, 17).unwrap();
    let error = multiply(short, PIXELS, &signs_matrix).unwrap_err();
    assert!(matches!(error, Error::Mismatch { first: ("a", 17), second: ("b", 0x10_0000), .. }), "{error}");
}

// --- convolution -----------------------------------------------------------------------------------------------------

#[derive(Clone, Copy)]
struct Shape {
    n: usize,
    image: [usize; 2],
    kernel: [usize; 2],
    /// Channels and filters of a group.
    n_channels: usize,
    n_filters: usize,
    n_groups: usize,
}

/// `[n, y, x, filter]`, by the definition.
fn convolved(
    shape: Shape,
    images: &[Vec<i32>],
    filters: &Bits,
    conv: Conv,
    out_shape: [usize; 2],
) -> Vec<i32> {
    let Shape { n, image: [height, width], kernel, n_channels, n_filters, n_groups } = shape;
    let mut out = Vec::new();
    for image in 0..n {
        for (y, x) in (0..out_shape[0]).flat_map(|y| (0..out_shape[1]).map(move |x| (y, x))) {
            for filter in 0..n_filters * n_groups {
                let mut sum = 0;
                for (ky, kx) in (0..kernel[0]).flat_map(|ky| (0..kernel[1]).map(move |kx| (ky, kx))) {
                    let row = (y * conv.stride[0] + ky * conv.dilation[0]).checked_sub(conv.padding[0][0]);
                    let column = (x * conv.stride[1] + kx * conv.dilation[1]).checked_sub(conv.padding[1][0]);
                    for channel in 0..n_channels {
                        let weight = filters.rows[(filter * kernel[0] + ky) * kernel[1] + kx][channel];
                        let pixel = match (row.filter(|y| *y < height), column.filter(|x| *x < width)) {
                            (Some(y), Some(x)) => {
                                images[(image * height + y) * width + x]
                                    [filter / n_filters * n_channels + channel]
                            }
                            _ => match conv.pad_value {
                                Padding::Minus => -1,
                                Padding::Plus => 1,
                                Padding::Zero => 0,
                            },
                        };
                        sum += pixel * (2 * i32::from(weight) - 1);
                    }
                }
                out.push(sum);
            }
        }
    }
    out
}

fn check_conv(shape: Shape, conv: Conv) {
    let Shape { n, image: [height, width], n_channels, n_groups, .. } = shape;
    let all_channels = n_channels * n_groups;
    let images = Bits::random(n * height * width, all_channels, 1);
    let view = Images::new(&images.packed, [n, height, width], images.n_bytes, all_channels).unwrap();
    check_conv_of(shape, conv, view, &numbers(std::slice::from_ref(&images), Values::Signs));

    let bytes = random_bytes(n * height * width * all_channels, 3);
    for numbers in [PIXELS, ByteValues { scale: 2, offset: -7 }, ByteValues { scale: 3, offset: 1 }] {
        let view = Images::of_bytes(&bytes, [n, height, width], all_channels, numbers).unwrap();
        check_conv_of(shape, conv, view, &numbers_of(&bytes, numbers, all_channels, all_channels));
    }
}

fn check_conv_of(shape: Shape, conv: Conv, views: Images<'_>, images: &[Vec<i32>]) {
    let Shape { image, kernel, n_channels, n_filters, n_groups, .. } = shape;
    let filters = Bits::random(n_filters * n_groups * kernel[0] * kernel[1], n_channels, 2);
    let out_shape = conv.out_shape(image, kernel).unwrap();
    let expected = convolved(shape, images, &filters, conv, out_shape);
    let n_out = n_filters * n_groups;
    let thresholds: Vec<i32> = (0..n_out as i32).map(|filter| filter % 5 - 2).collect();
    let bit = |row: &[i32]| row.iter().zip(&thresholds).map(|(dot, threshold)| dot >= threshold).collect();
    let expected_bits = Bits::new(expected.chunks(n_out).map(bit).collect(), n_out);
    for level in Level::available() {
        for threads in [1, 2] {
            let run = &Run::new(level, threads, &|| false);
            let shape = [n_out, kernel[0], kernel[1]];
            let prepared =
                Filters::new(&filters.packed, shape, filters.n_bytes, n_channels, n_groups, run).unwrap();
            let mut dots = vec![7; expected.len()];
            conv2d(views, &prepared, conv, Output::Dots(&mut dots), run).unwrap();
            assert!(dots == expected, "{shape:?}, {conv:?}, {level:?}");
            let mut packed = vec![0xAA; expected_bits.packed.len()];
            let output = Output::Bits { thresholds: &thresholds, flips: &[], out: &mut packed };
            conv2d(views, &prepared, conv, output, run).unwrap();
            assert!(packed == expected_bits.packed, "bits, {shape:?}, {conv:?}, {level:?}");
        }
    }
}

#[test]
fn convolution_equals_its_definition() {
    let plain = Conv { stride: [1, 1], padding: [[0; 2]; 2], pad_value: Padding::Minus, dilation: [1, 1] };
    let small = Shape { n: 2, image: [7, 6], kernel: [3, 3], n_channels: 13, n_filters: 11, n_groups: 1 };
    for pad_value in [Padding::Minus, Padding::Plus, Padding::Zero] {
        for padding in [[[0, 0], [0, 0]], [[1, 1], [1, 1]], [[2, 0], [1, 3]], [[9, 9], [9, 9]]] {
            for (stride, dilation) in [([1, 1], [1, 1]), ([2, 3], [1, 1]), ([1, 1], [2, 1]), ([2, 1], [1, 2])]
            {
                check_conv(small, Conv { stride, padding, pad_value, dilation });
            }
        }
        let same = Conv { padding: [[1, 1], [1, 1]], pad_value, ..plain };
        for n_channels in [1, 3, 8, 64, 65] {
            check_conv(Shape { n_channels, ..small }, same);
        }
        check_conv(Shape { n_channels: 16, n_filters: 8, n_groups: 3, ..small }, same);
        check_conv(Shape { kernel: [1, 1], ..small }, plain);
        check_conv(Shape { kernel: [7, 6], ..small }, plain);
        check_conv(Shape { kernel: [2, 5], n_filters: 300, n: 1, ..small }, same);
        check_conv(Shape { n: 0, ..small }, same);
        // More results than the groups of a convolution take on together.
        let many = Shape { n: 1, image: [130, 131], n_channels: 8, n_filters: 8, n_groups: 2, ..small };
        check_conv(Shape { kernel: [2, 1], ..many }, same);
        check_conv(Shape { n: 1, image: [40, 33], n_channels: 8, n_filters: 16, ..small }, same);
    }
}

#[test]
fn no_filters_give_no_results() {
    let images = Images::new(&[0; 12], [1, 3, 4], 1, 8).unwrap();
    for pad_value in [Padding::Minus, Padding::Plus, Padding::Zero] {
        let conv = Conv { stride: [1, 1], padding: [[1, 1]; 2], pad_value, dilation: [1, 1] };
        let run = &Run::serial(Level::PORTABLE);
        let filters = Filters::new(&[], [0, 3, 3], 1, 8, 1, run).unwrap();
        assert_eq!(conv2d(images, &filters, conv, Output::Dots(&mut []), run), Ok(()));
    }
}

#[test]
fn the_maximum_of_a_window_is_the_or_of_its_bits() {
    let (n, height, width, n_channels) = (3, 9, 8, 11);
    let images = Bits::random(n * height * width, n_channels, 1);
    let views = Images::new(&images.packed, [n, height, width], images.n_bytes, n_channels).unwrap();
    for (size, stride) in
        [([2, 2], [2, 2]), ([3, 1], [1, 2]), ([9, 8], [1, 1]), ([1, 1], [1, 1]), ([2, 3], [3, 3])]
    {
        let [out_height, out_width] = xnor::pooled_shape([height, width], size, stride).unwrap();
        let mut expected = Vec::new();
        for (image, y) in (0..n).flat_map(|image| (0..out_height).map(move |y| (image, y))) {
            for x in 0..out_width {
                let window = (0..size[0]).flat_map(|dy| (0..size[1]).map(move |dx| (dy, dx)));
                let pixels = window.map(|(dy, dx)| {
                    &images.rows[(image * height + y * stride[0] + dy) * width + x * stride[1] + dx]
                });
                let any = |channel: usize| pixels.clone().any(|pixel| pixel[channel]);
                expected.push((0..n_channels).map(any).collect());
            }
        }
        let expected = Bits::new(expected, n_channels);
        let mut out = vec![0xAA; expected.packed.len()];
        max_pool2d(views, size, stride, &mut out, &Run::serial(Level::PORTABLE)).unwrap();
        assert!(out == expected.packed, "{size:?} {stride:?}");
    }
}

#[test]
fn planes_are_the_bits_of_integers() {
    for (n_rows, n_values) in [(0, 5), (1, 1), (3, 63), (3, 64), (3, 65), (9, 784), (700, 1000)] {
        let values = Random::new(3).bytes(n_rows * n_values);
        for n_planes in [1, 3, 8] {
            let plane = |plane: usize| {
                let row = |row: &[u8]| row.iter().map(|value| value >> plane & 1 == 1).collect();
                Bits::new(values.chunks(n_values).map(row).collect(), n_values).packed
            };
            let expected: Vec<u8> = (0..n_planes).flat_map(plane).collect();
            for level in Level::available() {
                for threads in [1, 2] {
                    let mut out = vec![0xAA; expected.len()];
                    let rows = Codes::new(&values, n_rows, n_values).unwrap();
                    xnor::planes(rows, n_planes, &mut out, &Run::new(level, threads, &|| false)).unwrap();
                    assert!(out == expected, "{n_rows} x {n_values}, {n_planes} planes, {level:?}");
                }
            }
        }
    }
}

// --- what is refused -------------------------------------------------------------------------------------------------

#[test]
fn operands_that_do_not_fit_are_errors() {
    let rows =
        |bytes: &'static [u8], n_bytes: usize| Codes::new(bytes, bytes.len() / n_bytes, n_bytes).unwrap();
    let signs = |name, n_features| Operand::new(name, vec![rows(&[0x80; 6], 2)], Values::Signs, n_features);
    let unit = "bytes per row";
    let error = signs("a", 17).unwrap_err();
    assert_eq!(error, Error::Length { name: "a", unit, given: 2, expected: 3 });
    assert!(matches!(signs("a", 0), Err(Error::Range { low: 1, .. })));
    assert_eq!(signs("a", 9).map(|a| a.n_rows()), Ok(3));
    let tail = Operand::new("b", vec![rows(&[0, 0x80, 0, 0x60], 2)], Values::Signs, 10);
    assert!(matches!(tail, Err(Error::Padding { name: "b", row: 1, n_bits: 10 })));
    for (values, n_planes) in [(Values::Signs, 0), (Values::Signs, 2), (Values::Unsigned, 9)] {
        let planes = vec![rows(&[0; 6], 2); n_planes];
        assert!(matches!(
            Operand::new("a", planes, values, 16),
            Err(Error::Range { unit: "bit planes", .. })
        ));
    }
    let planes = vec![rows(&[0; 6], 2), rows(&[0; 4], 2)];
    let error = Operand::new("a", planes, Values::Unsigned, 16).unwrap_err();
    assert_eq!(error, Error::Length { name: "a", unit: "rows per plane", given: 2, expected: 3 });
    let (a, b) = (signs("a", 16).unwrap(), signs("b", 15).unwrap());
    let run = &Run::serial(Level::PORTABLE);
    let matrix = Matrix::new(&a, run).unwrap();
    let dots = &mut [0; 9];
    let error = xnor::matmul(&b, &matrix, Output::Dots(dots), run).unwrap_err();
    assert!(matches!(error, Error::Mismatch { first: ("a", 15), second: ("b", 16), .. }), "{error}");
    let unit = "elements";
    assert_eq!(
        xnor::matmul(&a, &matrix, Output::Dots(&mut dots[..8]), run),
        Err(Error::Length { name: "out", unit, given: 8, expected: 9 })
    );
    let bits = Output::Bits { thresholds: &[0; 2], flips: &[], out: &mut [0; 3] };
    let error = xnor::matmul(&a, &matrix, bits, run).unwrap_err();
    assert_eq!(error, Error::Length { name: "thresholds", unit, given: 2, expected: 3 });
}

#[test]
fn sums_that_may_not_fit_are_errors() {
    let (bytes, n_features) = ([u8::MAX; 3000], 24_000);
    let planes = vec![Codes::new(&bytes, 1, 3000).unwrap(); 8];
    let a = Operand::new("a", planes, Values::Unsigned, n_features).unwrap();
    let run = &Run::serial(Level::PORTABLE);
    let matrix = Matrix::new(&a, run).unwrap();
    let error = xnor::matmul(&a, &matrix, Output::Dots(&mut [0]), run).unwrap_err().to_string();
    let most = (i32::MAX as usize / 2) / (255 * 255);
    assert!(error.starts_with("rows have 24000 numbers"), "{error}");
    assert!(error.contains(&format!("longer than {most} can overflow")), "{error}");
}
