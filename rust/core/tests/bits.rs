//! Every level against one line for one bit, at shapes around a byte, a register and a block of 64.

mod common;

use common::Random;
use fastcodes_core::bits::{self, Along, BitOrder, Rows, Thresholds};
use fastcodes_core::{At, Codes, Error, Level, Run};
use proptest::prelude::*;

const ORDERS: [BitOrder; 2] = [BitOrder::Big, BitOrder::Little];
const DIMS: [usize; 15] = [1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 130, 200, 680];

fn bit(order: BitOrder, row: &[u8], i: usize) -> bool {
    match order {
        BitOrder::Big => row[i / 8] >> (7 - i % 8) & 1 == 1,
        BitOrder::Little => row[i / 8] >> (i % 8) & 1 == 1,
    }
}

fn f16_value(bits: u16) -> f64 {
    let (exponent, fraction) = (bits >> 10 & 0x1f, f64::from(bits & 0x3ff) / 1024.0);
    let magnitude = match exponent {
        0 => fraction * 2.0_f64.powi(-14),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        _ => (1.0 + fraction) * 2.0_f64.powi(i32::from(exponent) - 15),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

/// Element `i` of the bytes.
fn at<const N: usize>(bytes: &[u8], i: usize) -> [u8; N] {
    bytes[i * N..][..N].try_into().unwrap()
}

/// Packs rows of `dims` elements that begin at odd addresses, and checks each bit against `is_above(row, i)`.
fn check_pack(
    level: Level,
    (bytes, n_rows, dims, size, gap): (&[u8], usize, usize, usize, usize),
    thresholds: Thresholds<'_>,
    is_above: impl Fn(&[u8], usize) -> bool,
) {
    let (row_bytes, stride) = (dims.div_ceil(8), dims * size + gap);
    let x = Rows::new(&bytes[1..], n_rows, dims * size, stride).unwrap();
    for order in ORDERS {
        let mut out = vec![0xaa; n_rows * row_bytes];
        bits::pack(x, Along::Rows, thresholds, order, &mut out, &Run::serial(level)).unwrap();
        for (row, out) in out.chunks(row_bytes).enumerate() {
            for i in 0..row_bytes * 8 {
                let expected = i < dims && is_above(&bytes[1 + row * stride..], i);
                assert_eq!(
                    bit(order, out, i),
                    expected,
                    "{level:?} {order:?} {dims} dims, row {row}, bit {i}"
                );
            }
        }
    }
}

#[test]
fn each_bit_says_whether_its_element_is_above_its_threshold() {
    let bytes = Random::new(0).bytes(5 * (680 * 8 + 3) + 1);
    let shapes = DIMS.into_iter().flat_map(|dims| [(1, dims, 0), (2, dims, 3), (5, dims, 0)]);
    for (level, (n_rows, dims, gap)) in
        shapes.flat_map(|shape| Level::available().into_iter().map(move |level| (level, shape)))
    {
        let of_size = |size| (&bytes[..], n_rows, dims, size, gap);
        check_pack(level, of_size(1), Thresholds::NonZero, |row, i| row[i] != 0);

        let each: Vec<u16> = (0..dims).map(|i| u16::from_ne_bytes(at(&bytes, i))).collect();
        for t in [&each[..], &[0x8000], &[0x3c00], &[0x7c00], &[0xfc00], &[0x7e00], &[0xfe00]] {
            check_pack(level, of_size(2), Thresholds::F16(t), |row, i| {
                f16_value(u16::from_ne_bytes(at(row, i))) > f16_value(t[i % t.len()])
            });
        }

        let each: Vec<f32> = (0..dims).map(|i| f32::from_ne_bytes(at(&bytes, i))).collect();
        for t in [&each[..], &[-0.0], &[1e-5], &[f32::NEG_INFINITY], &[f32::NAN]] {
            check_pack(level, of_size(4), Thresholds::F32(t), |row, i| {
                f32::from_ne_bytes(at(row, i)) > t[i % t.len()]
            });
        }

        let each: Vec<f64> = (0..dims).map(|i| f64::from_ne_bytes(at(&bytes, i))).collect();
        for t in [&each[..], &[-0.0], &[1e-5], &[f64::NEG_INFINITY], &[f64::NAN]] {
            check_pack(level, of_size(8), Thresholds::F64(t), |row, i| {
                f64::from_ne_bytes(at(row, i)) > t[i % t.len()]
            });
        }
    }
}

#[test]
fn columns_give_the_codes_of_the_transposed_array() {
    let (bytes, gap) = (Random::new(0).bytes(8 * 130 * 700), 3);
    let f16s: Vec<u16> = (0..130).map(|i| u16::from_ne_bytes(at(&bytes, i))).collect();
    let f32s: Vec<f32> = (0..130).map(|i| f32::from_ne_bytes(at(&bytes, i))).collect();
    let f64s: Vec<f64> = (0..130).map(|i| f64::from_ne_bytes(at(&bytes, i))).collect();
    for (dims, n_codes) in
        [1, 7, 8, 9, 64, 65, 130].into_iter().flat_map(|d| [1, 8, 9, 256, 515].map(|n| (d, n)))
    {
        for (size, thresholds) in [
            (1, Thresholds::NonZero),
            (2, Thresholds::F16(&f16s[..dims])),
            (4, Thresholds::F32(&f32s[..1])),
            (4, Thresholds::F32(&f32s[..dims])),
            (8, Thresholds::F64(&f64s[..dims])),
        ] {
            let stride = n_codes * size + gap;
            let elements = (0..n_codes).flat_map(|code| (0..dims).map(move |i| 1 + i * stride + code * size));
            let transposed: Vec<u8> =
                elements.flat_map(|start| bytes[start..start + size].to_vec()).collect();
            let rows = Rows::new(&transposed, n_codes, dims * size, dims * size).unwrap();
            let columns = Rows::new(&bytes[1..], dims, n_codes * size, stride).unwrap();
            for (level, order) in
                Level::available().into_iter().flat_map(|level| ORDERS.map(|order| (level, order)))
            {
                let (run, mut out) =
                    (Run::serial(level), [0x55, 0xaa].map(|b| vec![b; n_codes * dims.div_ceil(8)]));
                bits::pack(rows, Along::Rows, thresholds, order, &mut out[0], &run).unwrap();
                bits::pack(columns, Along::Columns, thresholds, order, &mut out[1], &run).unwrap();
                assert!(out[0] == out[1], "{level:?} {order:?} {dims} x {n_codes} of {size} bytes");
            }
        }
    }
}

#[test]
fn unpack_writes_the_value_of_each_bit() {
    let cases = ORDERS.into_iter().flat_map(|order| [1, 2, 4, 8].map(|size| (order, size)));
    for (order, size) in cases {
        for (level, dims) in Level::available().into_iter().flat_map(|level| DIMS.map(|dims| (level, dims))) {
            for (n_rows, gap) in [(1, 0), (2, 1), (5, 0)] {
                let n_bytes = dims.div_ceil(8);
                let (bytes, values) =
                    (Random::new(0).bytes(n_rows * (n_bytes + gap)), Random::new(0).bytes(16));
                let values = [&values[..size], &values[8..][..size]];
                let codes = Rows::new(&bytes, n_rows, n_bytes, n_bytes + gap).unwrap();
                let mut out = vec![0; n_rows * dims * size];
                bits::unpack(codes, dims, values, order, &mut out, &Run::serial(level)).unwrap();
                for (index, element) in out.chunks(size).enumerate() {
                    let row = &bytes[index / dims * (n_bytes + gap)..];
                    let expected = values[usize::from(bit(order, row, index % dims))];
                    assert_eq!(element, expected, "{level:?} {order:?} {size} bytes, {dims} dims, {index}");
                }
            }
        }
    }
}

#[test]
fn popcount_counts_the_ones_of_each_row() {
    for level in Level::available() {
        for n_bytes in [1, 2, 4, 7, 8, 9, 15, 16, 17, 24, 63, 64, 65, 128, 200] {
            for (n_rows, gap) in [(0, 0), (1, 0), (7, 0), (8, 0), (17, 0), (17, 3)] {
                let bytes = Random::new(0).bytes(n_rows * (n_bytes + gap));
                let codes = Codes::strided(&bytes, n_rows, n_bytes, n_bytes + gap).unwrap();
                let ones = |row| codes.row(row).iter().map(|byte| byte.count_ones() as i32).sum();
                let expected: Vec<i32> = (0..n_rows).map(ones).collect();
                let mut out = vec![-1; n_rows];
                bits::popcount(codes, &mut out, &Run::serial(level)).unwrap();
                assert_eq!(out, expected, "{level:?} {n_bytes} {n_rows} {gap}");
            }
        }
    }
}

#[test]
fn long_work_is_the_same_on_one_thread_and_on_two() {
    let (serial, two) = (&Run::serial(Level::PORTABLE), &Run::new(Level::best(), 2, &|| false));
    let bytes = Random::new(0).bytes(5 << 20);
    for (n_rows, dims) in [(1, 5 << 18), (5, 1 << 18), (1 << 15, 33), (5 << 18, 1), (3 << 17, 3)] {
        let each: Vec<f32> = (0..dims).map(|i| f32::from_ne_bytes(at(&bytes, i))).collect();
        let x = Rows::new(&bytes, n_rows, dims * 4, dims * 4).unwrap();
        for t in [&each[..1], &each].map(Thresholds::F32) {
            let row_bytes = dims.div_ceil(8);
            let mut codes = [0, 1].map(|byte| vec![byte; n_rows * row_bytes]);
            bits::pack(x, Along::Rows, t, BitOrder::Big, &mut codes[0], serial).unwrap();
            bits::pack(x, Along::Rows, t, BitOrder::Big, &mut codes[1], two).unwrap();
            assert!(codes[0] == codes[1]);

            let mut columns = [0, 1].map(|byte| vec![byte; dims * n_rows.div_ceil(8)]);
            let t = Thresholds::F32(&each[..1]);
            bits::pack(x, Along::Columns, t, BitOrder::Big, &mut columns[0], serial).unwrap();
            bits::pack(x, Along::Columns, t, BitOrder::Big, &mut columns[1], two).unwrap();
            assert!(columns[0] == columns[1]);

            let (values, codes) =
                ([&[0_u8][..], &[1]], Rows::new(&codes[0], n_rows, row_bytes, row_bytes).unwrap());
            let mut elements = [0, 1].map(|byte| vec![byte; n_rows * dims]);
            bits::unpack(codes, dims, values, BitOrder::Big, &mut elements[0], serial).unwrap();
            bits::unpack(codes, dims, values, BitOrder::Big, &mut elements[1], two).unwrap();
            assert!(elements[0] == elements[1]);
        }
    }
    let codes = Codes::new(&bytes, bytes.len() / 11, 11).unwrap();
    let mut counts = [0, 1].map(|count| vec![count; codes.n_rows()]);
    bits::popcount(codes, &mut counts[0], serial).unwrap();
    bits::popcount(codes, &mut counts[1], two).unwrap();
    assert!(counts[0] == counts[1]);
}

proptest! {
    #[test]
    fn integers_lie_side_by_side(
        n_bits in 1_usize..=16,
        (d, values) in (1_usize..40).prop_flat_map(|d| (Just(d), prop::collection::vec(any::<u16>(), d * 3))),
    ) {
        let values: Vec<u16> = values.into_iter().map(|value| value >> (16 - n_bits)).collect();
        let row_bytes = (d * n_bits).div_ceil(8);
        let mut packed = vec![0xaa; 3 * row_bytes];
        bits::pack_uint(&values, d, n_bits, &mut packed, &Run::serial(Level::best())).unwrap();
        for (values, packed) in values.chunks(d).zip(packed.chunks(row_bytes)) {
            for i in 0..row_bytes * 8 {
                let expected = i < d * n_bits && values[i / n_bits] >> (n_bits - 1 - i % n_bits) & 1 == 1;
                prop_assert_eq!(bit(BitOrder::Big, packed, i), expected);
            }
        }
        let mut back = vec![0_u16; values.len()];
        bits::unpack_uint(&packed, d, n_bits, &mut back, &Run::serial(Level::best())).unwrap();
        prop_assert_eq!(back, values);
    }
}

#[test]
fn arguments_that_do_not_fit_are_errors() {
    let (run, bytes) = (&Run::serial(Level::best()), [1; 16]);
    assert_eq!(
        Rows::new(&bytes, 3, 8, 8).unwrap_err(),
        Error::Length { name: "rows", unit: "bytes", given: 16, expected: 24 }
    );

    let x = Rows::new(&bytes, 2, 8, 8).unwrap();
    let pack = |t: Thresholds<'_>, out: &mut [u8]| bits::pack(x, Along::Rows, t, BitOrder::Big, out, run);
    let length = |name, unit, given, expected| Err(Error::Length { name, unit, given, expected });
    assert_eq!(pack(Thresholds::NonZero, &mut [0; 3]), length("out", "bytes", 3, 2));
    let three = pack(Thresholds::F16(&[0; 3]), &mut [0; 2]);
    assert!(matches!(three, Err(Error::Mismatch { first: ("threshold", 3), second: ("x", 4), .. })));
    let odd = Rows::new(&bytes, 2, 7, 8).unwrap();
    let cut_short = bits::pack(odd, Along::Rows, Thresholds::F32(&[0.0]), BitOrder::Big, &mut [0; 2], run);
    let is_partial = |result: Result<(), Error>| matches!(result, Err(Error::Incompatible { .. }));
    assert!(is_partial(cut_short));

    let unpack = |n_bits, values, out: &mut [u8]| bits::unpack(x, n_bits, values, BitOrder::Big, out, run);
    assert_eq!(unpack(65, [&[0], &[1]], &mut [0; 130]), length("codes", "bytes per row", 8, 9));
    assert_eq!(unpack(64, [&[0], &[1]], &mut [0; 127]), length("out", "elements", 127, 128));
    assert!(is_partial(unpack(64, [&[0; 3], &[1; 3]], &mut [0; 384])));
    assert!(is_partial(unpack(64, [&[0; 2], &[1; 2]], &mut [0; 255])));

    let codes = Codes::new(&bytes, 2, 8).unwrap();
    assert!(bits::popcount(codes, &mut [0; 3], run).is_err());

    let pack_uint = |n_bits, out: &mut [u8]| bits::pack_uint(&[3_u8, 4], 2, n_bits, out, run);
    assert_eq!(
        pack_uint(2, &mut [0]),
        Err(Error::Value {
            name: "values",
            value: "4".to_owned(),
            at: At::Element(1),
            expected: "integers from 0 to 3, which fit 2 bits".to_owned(),
        })
    );
    let n_bits = |given| Err(Error::Range { name: "n_bits", unit: "", given, low: 1, high: 16 });
    assert_eq!(pack_uint(17, &mut [0]), n_bits(17));
    assert_eq!(pack_uint(3, &mut [0; 2]), length("out", "bytes", 2, 1));
    let no_bits = bits::unpack_uint(&[0], 2, 0, &mut [0_u8; 2], run);
    assert_eq!(no_bits, n_bits(0));
    assert!(bits::unpack_uint(&[0, 0, 0], 2, 4, &mut [0_u8; 4], run).is_err());
}
