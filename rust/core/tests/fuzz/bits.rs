//! Packing, unpacking and counting bits.

use fastcodes_core::bits::{self, Along, BitOrder, Rows, Thresholds};
use fastcodes_core::{Codes, Level, Run};
use proptest::prelude::*;

use crate::{content, fuzz};

#[test]
fn bits_levels_agree() {
    // Any float32 may come, NaN and infinities too; thresholds from a few values, so that equality happens.
    let element = prop_oneof![any::<u32>().prop_map(f32::from_bits), (-2i8..3).prop_map(f32::from)];
    let shape = (0usize..12, 0usize..400, 0usize..9, any::<bool>(), any::<bool>(), 1usize..4);
    let case = (shape, prop::collection::vec(element, 400), any::<u32>(), 1usize..17);
    fuzz(case, |((n_rows, dims, gap, per_dimension, big, threads), pool, seed, n_bits)| {
        let (n_rows, dims, gap, n_bits) = (*n_rows, *dims, *gap, *n_bits);
        let order = if *big { BitOrder::Big } else { BitOrder::Little };
        let seed = u64::from(*seed);
        let picks = content(n_rows * (dims + gap) * 2, 4, seed);
        let (picks, _) = picks.as_chunks::<2>();
        let elements =
            picks.iter().flat_map(|pick| pool[usize::from(u16::from_ne_bytes(*pick)) % 400].to_ne_bytes());
        let bytes: Vec<u8> = elements.collect();
        let x = Rows::new(&bytes, n_rows, 4 * dims, 4 * (dims + gap)).unwrap();
        let limits: Vec<f32> =
            pool.iter().rev().map(|limit| if limit.is_nan() { 0.0 } else { *limit }).collect();
        let thresholds = Thresholds::F32(if *per_dimension { &limits[..dims] } else { &limits[..1] });
        // A single dimension cannot tell its threshold from one for all.
        let thresholds = if dims == 0 { Thresholds::F32(&limits[..1]) } else { thresholds };

        let n_bytes = dims.div_ceil(8);
        let answers = |level, threads| {
            let run = &Run::new(level, threads, &|| false);
            let mut packed = vec![0xaa; n_rows * n_bytes];
            bits::pack(x, Along::Rows, thresholds, order, &mut packed, run).unwrap();
            let (limit, mut columns) = (Thresholds::F32(&limits[..1]), vec![0xaa; dims * n_rows.div_ceil(8)]);
            bits::pack(x, Along::Columns, limit, order, &mut columns, run).unwrap();
            let mut unpacked = vec![0xaa; n_rows * dims * 2];
            let codes = Rows::new(&packed, n_rows, n_bytes, n_bytes).unwrap();
            bits::unpack(codes, dims, [&[1, 2], &[3, 4]], order, &mut unpacked, run).unwrap();
            let mut ones = vec![-1; n_rows];
            if n_bytes > 0 {
                bits::popcount(Codes::new(&packed, n_rows, n_bytes).unwrap(), &mut ones, run).unwrap();
            }
            (packed, columns, unpacked, ones)
        };
        let expected = answers(Level::PORTABLE, 1);
        for level in Level::available() {
            prop_assert_eq!(&answers(level, *threads), &expected, "{:?}", level);
        }

        let values: Vec<u16> = picks.iter().map(|pick| u16::from_ne_bytes(*pick) >> (16 - n_bits)).collect();
        let width = dims + gap;
        let run = &Run::new(Level::best(), *threads, &|| false);
        let mut packed = vec![0xaa; n_rows * (width * n_bits).div_ceil(8)];
        bits::pack_uint(&values, width, n_bits, &mut packed, run).unwrap();
        let mut back = vec![0u16; values.len()];
        bits::unpack_uint(&packed, width, n_bits, &mut back, run).unwrap();
        prop_assert_eq!(back, values);
        Ok(())
    });
}
