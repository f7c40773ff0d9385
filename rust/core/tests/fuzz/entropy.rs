//! Messages and rows of entropy coding: round trips, equal bytes at every level, and bytes that no encoder wrote.

use fastcodes_core::entropy::huffman::{self, Huffman};
use fastcodes_core::entropy::rows::{self, Bernoulli, Blocks, MarkovChain, RowModel};
use fastcodes_core::entropy::scales::{self, Law, ScaleTable};
use fastcodes_core::entropy::symbols::{self, Model};
use fastcodes_core::entropy::{Tables, frequencies};
use fastcodes_core::{Codes, Level, Run};
use proptest::prelude::*;

use crate::common::Random;
use crate::{content, fuzz};

/// Frequencies of a kind: near 1 in all, one symbol that is nearly certain, uniform, powers of two, or any.
fn table(kind: usize, n_symbols: usize, random: &mut Random) -> Vec<u32> {
    let likely = random.below(n_symbols);
    let counts: Vec<u64> = (0..n_symbols)
        .map(|symbol| match kind {
            0 => 1 << (40 * u64::from(symbol == likely)),
            1 => 1,
            2 => 1 << random.below(17),
            3 => random.below(3) as u64,
            _ => random.word() >> (random.below(60) + 4),
        })
        .collect();
    let mut out = vec![0; n_symbols];
    frequencies::of_counts(&counts, &mut out).unwrap();
    out
}

/// Symbols that follow the frequencies, or any.
fn sample(table: &[u32], any: bool, random: &mut Random) -> u8 {
    let mut slot = random.below(1 << 16) as u32;
    if any {
        return random.below(table.len()) as u8;
    }
    table
        .iter()
        .position(|frequency| {
            let is_here = slot < *frequency;
            slot = slot.wrapping_sub(*frequency);
            is_here
        })
        .unwrap_or(0) as u8
}

/// Bytes that were cut, lengthened or altered, and bytes of any kind.
fn damaged(data: &[u8], random: &mut Random) -> Vec<u8> {
    let mut wrong = data.to_vec();
    match random.below(5) {
        0 => wrong.truncate(random.below(data.len() + 1)),
        1 => wrong.extend(random.bytes(3)),
        2 => wrong = content(data.len(), random.below(9) as u32, random.word()),
        _ => {
            for _ in 0..random.below(4) {
                let place = random.below(data.len().max(1));
                wrong.iter_mut().skip(place).take(1).for_each(|byte| *byte = random.word() as u8);
            }
        }
    }
    wrong
}

/// Encodes at every level and for several threads; decodes that, and damaged bytes, alike at all levels.
fn check<T: Clone + Default + PartialEq + std::fmt::Debug>(
    symbols: &[T],
    random: &mut Random,
    encode: impl Fn(&Run<'_>) -> Vec<u8>,
    decode: impl Fn(&[u8], &mut [T], &Run<'_>) -> bool,
) -> Result<(), TestCaseError> {
    let expected = encode(&Run::serial(Level::PORTABLE));
    let wrong = damaged(&expected, random);
    let decoded = |data: &[u8], run: &Run<'_>| {
        let mut out = vec![T::default(); symbols.len()];
        decode(data, &mut out, run).then_some(out)
    };
    let of_wrong = decoded(&wrong, &Run::serial(Level::PORTABLE));
    for level in Level::available() {
        for threads in [1, 2] {
            let run = &Run::new(level, threads, &|| false);
            prop_assert!(encode(run) == expected, "{level:?} wrote other bytes");
            let found = decoded(&expected, run);
            prop_assert!(found.as_deref() == Some(symbols), "{level:?} read other symbols");
            prop_assert!(decoded(&wrong, run) == of_wrong, "{level:?} read damaged bytes in another way");
        }
    }
    Ok(())
}

#[test]
fn entropy_levels_agree_on_messages() {
    let n = prop_oneof![2 => 0usize..300, 2 => 8150usize..8300, 2 => 8192usize..30_000, 1 => (1usize << 20) - 2..(1 << 20) + 9000];
    fuzz((n, 0usize..5, 0usize..5, 1usize..257, any::<bool>(), any::<u64>()), |case| {
        let (n, kind, other, n_symbols, any, seed) = *case;
        let random = &mut Random::new(seed);
        let tables: Vec<Vec<u32>> =
            [kind, other, 4].into_iter().map(|kind| table(kind, n_symbols, random)).collect();
        let of_all = Tables::new(&tables.concat(), n_symbols).unwrap();
        let which: Vec<u8> = (0..n).map(|_| random.below(3) as u8).collect();
        let symbols: Vec<u8> =
            which.iter().map(|which| sample(&tables[usize::from(*which)], any, random)).collect();
        let model = Model::with_which(&of_all, &which).unwrap();
        check(
            &symbols,
            random,
            |run| symbols::encode(&symbols, model, run).unwrap(),
            |data, out, run| symbols::decode(data, model, out, run).is_ok(),
        )?;
        // One table, and the same symbols as the low bytes of wide ones.
        let one = Tables::new(&tables[0], n_symbols).unwrap();
        let likely: Vec<u8> = (0..n).map(|_| sample(&tables[0], any, random)).collect();
        check(
            &likely,
            random,
            |run| {
                let data = symbols::encode(&likely, Model::new(&one), run).unwrap();
                symbols::check_n_symbols(n, &one, data.len()).unwrap();
                data
            },
            |data, out, run| symbols::decode(data, Model::new(&one), out, run).is_ok(),
        )?;
        let high = Tables::new(&table(kind, 3, random), 3).unwrap();
        let wide: Vec<u16> = which.iter().zip(&symbols).map(|(a, b)| u16::from_be_bytes([*a, *b])).collect();
        check(
            &wide,
            random,
            |run| {
                let data = symbols::encode_wide(&wide, &high, &of_all, run).unwrap();
                symbols::check_n_wide(n, &high, &of_all, data.len()).unwrap();
                data
            },
            |data, out, run| symbols::decode_wide(data, &high, &of_all, out, run).is_ok(),
        )
    });
}

#[test]
fn entropy_levels_agree_on_scales_and_codewords() {
    let n = prop_oneof![2 => 0usize..300, 2 => 8150usize..30_000];
    let scale_tables = [Law::Laplace, Law::Gaussian, Law::Logistic].map(|law| ScaleTable::new(law).unwrap());
    fuzz((n, 0usize..3, 0usize..33, 0usize..5, any::<u64>()), |(n, law, n_bits, kind, seed)| {
        let random = &mut Random::new(*seed);
        let table = &scale_tables[*law];
        let numbers: Vec<u8> = (0..*n).map(|_| random.below(64) as u8).collect();
        // Of up to so many bits, positive and negative.
        let values: Vec<i32> = (0..*n)
            .map(|_| ((random.word() as i64 as i32) as i64 >> (32 - n_bits.max(&random.below(33)))) as i32)
            .collect();
        check(
            &values,
            random,
            |run| {
                let data = scales::encode(&values, &numbers, table, run).unwrap();
                scales::check_n_values(*n, table, data.len()).unwrap();
                data
            },
            |data, out, run| scales::decode(data, &numbers, table, out, run).is_ok(),
        )?;
        let counts: Vec<u64> = (0..1 + random.below(3000))
            .map(|symbol| match kind {
                0 => 1 << (symbol % 60),
                1 => u64::from(symbol == 7) + 1,
                _ => random.word() >> (random.below(60) + 4),
            })
            .collect();
        let lengths = huffman::lengths(&counts).unwrap();
        let code = Huffman::new(&lengths).unwrap();
        let present: Vec<u16> =
            (0..).zip(&lengths).filter(|(_, length)| **length > 0).map(|(s, _)| s).collect();
        let n = if present.is_empty() { 0 } else { *n };
        let symbols: Vec<u16> = (0..n).map(|_| present[random.below(present.len())]).collect();
        check(
            &symbols,
            random,
            |run| {
                let data = code.encode(&symbols, run).unwrap();
                code.check_n(n, data.len()).unwrap();
                data
            },
            |data, out, run| code.decode(data, out, run).is_ok(),
        )?;
        // Any lengths: refused, or a code that decodes anything without a panic.
        let any = content(random.below(40), 2, *seed);
        if let Ok(code) = Huffman::new(&any) {
            let _ = code.decode(&content(100, 4, !seed), &mut [0; 90], &Run::serial(Level::PORTABLE));
        }
        Ok(())
    });
}

fn check_rows<M: RowModel>(
    model: &M,
    codes: Codes<'_>,
    rows_per_block: usize,
    random: &mut Random,
) -> Result<(), TestCaseError> {
    let (data, offsets) = rows::encode(codes, model, rows_per_block, &Run::serial(Level::PORTABLE)).unwrap();
    let n_blocks = offsets.len() - 1;
    let lens: Vec<i64> = (0..n_blocks)
        .map(|block| rows_per_block.min(codes.n_rows() - block * rows_per_block) as i64)
        .collect();
    let some: Vec<i64> = lens.iter().map(|len| random.below(*len as usize + 1) as i64).collect();
    let run = &Run::new(Level::best(), 2, &|| false);
    prop_assert!(rows::encode(codes, model, rows_per_block, run).unwrap() == (data.clone(), offsets.clone()));
    for counts in [&lens, &some] {
        let blocks =
            Blocks { data: &data, starts: &offsets[..n_blocks], stops: &offsets[1..], lens: &lens, counts };
        let mut out = vec![0xaa; blocks.n_wanted(model).unwrap() * model.n_bytes()];
        rows::decode(blocks, model, &mut out, run).unwrap();
        let expected: Vec<u8> = (0..n_blocks)
            .flat_map(|block| (0..counts[block] as usize).map(move |row| block * rows_per_block + row))
            .flat_map(|row| codes.row(row).to_vec())
            .collect();
        prop_assert!(out == expected);
        // Damaged bytes, and places that are none.
        let wrong = damaged(&data, random);
        let mut places = offsets.clone();
        if random.below(2) == 0 {
            let place = random.below(places.len());
            places[place] = random.word() as i64 >> random.below(64);
        }
        let blocks =
            Blocks { data: &wrong, starts: &places[..n_blocks], stops: &places[1..], lens: &lens, counts };
        let _ = rows::decode(blocks, model, &mut out, run);
    }
    Ok(())
}

#[test]
fn entropy_rows_come_back() {
    let shape = (0usize..200, 1usize..20, 1usize..257, any::<bool>());
    fuzz(
        (shape, 1usize..40, 0usize..5, any::<bool>(), any::<u64>()),
        |(shape, rows_per_block, kind, any, seed)| {
            let (n_rows, n_columns, n_symbols, has_previous) = *shape;
            let random = &mut Random::new(*seed);
            let n_tables = if has_previous { 1 + (n_columns - 1) * n_symbols } else { n_columns };
            let few: Vec<Vec<u32>> = (0..5).map(|_| table(*kind, n_symbols, random)).collect();
            let tables: Vec<u32> = (0..n_tables).flat_map(|table| few[table % 5].clone()).collect();
            let chain = MarkovChain::new(&tables, n_columns, n_symbols, has_previous).unwrap();
            let symbols: Vec<u8> =
                (0..n_rows * n_columns).map(|place| sample(&few[place % 5], *any, random)).collect();
            check_rows(&chain, Codes::new(&symbols, n_rows, n_columns).unwrap(), *rows_per_block, random)?;
            let n_bits = 8 * n_columns - random.below(8);
            let ones: Vec<u32> = (0..n_bits)
                .map(|_| match kind {
                    0 => [1, 65_535][random.below(2)],
                    _ => 1 + random.below(65_535) as u32,
                })
                .collect();
            let mut bits = content(n_rows * n_columns, random.below(9) as u32, *seed);
            for row in bits.chunks_mut(n_columns) {
                row[n_columns - 1] &= 0xff << (8 * n_columns - n_bits);
            }
            let bernoulli = Bernoulli::new(&ones).unwrap();
            check_rows(&bernoulli, Codes::new(&bits, n_rows, n_columns).unwrap(), *rows_per_block, random)
        },
    );
}
