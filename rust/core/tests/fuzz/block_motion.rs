//! Block motion: every level finds the same candidates.

use fastcodes_core::block_motion::{Block, Image, Planes, Window, one_bit_search, predictive_search, search};
use fastcodes_core::{Level, Run};
use proptest::prelude::*;

use crate::{content, fuzz};

#[test]
fn searches_of_all_levels_agree() {
    let case =
        (1usize..70, 1usize..40, any::<bool>(), 0usize..36, 1usize..20, 0u32..9, any::<u32>(), 1usize..4);
    fuzz(case, |(width, height, is_small, radius, k, eighths, seed, threads)| {
        let (width, height, radius, seed) = (*width, *height, *radius, u64::from(*seed));
        let block = if *is_small { Block::Eight } else { Block::Sixteen };
        let k = (*k).min((2 * radius + 1).pow(2));
        let n = width.div_ceil(block.side()) * height.div_ceil(block.side()) * k;
        let n_bands = 1 + seed as usize % 3;
        let n_bytes = (width * height).max(n_bands * height * width.div_ceil(8));
        let (frame, reference) = (content(n_bytes, *eighths, seed), content(n_bytes, *eighths, !seed));
        let window = Window { block, radius };
        let answers = |level, threads| {
            let run = &Run::new(level, threads, &|| false);
            let (mut vectors, mut costs) = (vec![[0; 2]; 2 * n], vec![0; 2 * n]);
            let (of_search, of_bits) = vectors.split_at_mut(n);
            let (sums, counts) = costs.split_at_mut(n);
            fn view(bytes: &[u8], width: usize, height: usize) -> Image<'_> {
                Image::new("frame", bytes, width, height).unwrap()
            }
            let (a, b) = (&frame[..width * height], &reference[..width * height]);
            let (a, b) = (view(a, width, height), view(b, width, height));
            search(a, b, window, k, of_search, sums, run).unwrap();
            let (mut found, mut least) = (vec![[0; 2]; n / k], vec![0; n / k]);
            predictive_search(a, b, window, &mut found, &mut least, run).unwrap();
            let n_bytes = n_bands * height * width.div_ceil(8);
            let [a, b] = [&frame, &reference]
                .map(|bytes| Planes::new("frame", &bytes[..n_bytes], n_bands, width, height).unwrap());
            one_bit_search(a, b, window, k, of_bits, counts, run).unwrap();
            (vectors, costs, found, least)
        };
        let expected = answers(Level::PORTABLE, 1);
        for level in Level::available() {
            prop_assert!(answers(level, *threads) == expected, "{:?}", level);
        }
        Ok(())
    });
}
