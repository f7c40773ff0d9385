//! Messages of symbols: round trips, equal bytes at every level, code lengths, damaged bytes.

use fastcodes_core::entropy::rows::{self, Bernoulli, Blocks, MarkovChain};
use fastcodes_core::entropy::scales::{self, Law, ScaleTable};
use fastcodes_core::entropy::symbols::{self, Model};
use fastcodes_core::entropy::{Tables, frequencies};
use fastcodes_core::{Codes, Error, Level, Run};

/// A simple generator of numbers in [0, 1).
fn uniform(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn table(weights: impl Iterator<Item = f64>) -> Vec<u32> {
    let counts: Vec<u64> = weights.map(|weight| (weight * 1e9) as u64).collect();
    let mut out = vec![0; counts.len()];
    frequencies::of_counts(&counts, &mut out).unwrap();
    out
}

/// Frequencies of kinds of sources: peaked, uniform, two symbols, one that nearly always occurs, one alone.
fn sources() -> Vec<Vec<u32>> {
    vec![
        table((0..256).map(|i| (-f64::from((i - 128_i32).abs()) / 6.0).exp())),
        vec![256; 256],
        vec![20_000, 45_536],
        vec![1, 65_535],
        vec![65_536],
        table((0..97).map(|i| 1.0 / f64::from(i + 1))),
    ]
}

fn sample(table: &[u32], uniform: &mut impl FnMut() -> f64) -> u8 {
    let mut slot = (uniform() * 65_536.0) as u32;
    for (symbol, frequency) in table.iter().enumerate() {
        if slot < *frequency {
            return symbol as u8;
        }
        slot -= frequency;
    }
    unreachable!()
}

fn bits(table: &[u32], symbols: &[u8]) -> f64 {
    symbols.iter().map(|symbol| 16.0 - f64::from(table[usize::from(*symbol)]).log2()).sum()
}

const LENGTHS: [usize; 12] = [0, 1, 2, 50, 8191, 8192, 8193, 8223, 10_000, 40_000, 1 << 20, (1 << 21) + 77];

#[test]
fn symbols_come_back_in_nearly_their_code_length_at_every_level() {
    let stop = || false;
    for (number, table) in sources().iter().enumerate() {
        let tables = Tables::new(table, table.len()).unwrap();
        for n in LENGTHS {
            let mut uniform = uniform(number as u64 + 1);
            let symbols: Vec<u8> = (0..n).map(|_| sample(table, &mut uniform)).collect();
            let mut messages = Vec::new();
            for level in Level::available() {
                for threads in [1, 2] {
                    let run = Run::new(level, threads, &stop);
                    let data = symbols::encode(&symbols, Model::new(&tables), &run).unwrap();
                    let mut out = vec![0; n];
                    symbols::check_n_symbols(n, &tables, data.len()).unwrap();
                    symbols::decode(&data, Model::new(&tables), &mut out, &run).unwrap();
                    assert!(out == symbols, "{level:?}, source {number}, {n} symbols");
                    messages.push(data);
                }
            }
            assert!(messages.iter().all(|data| *data == messages[0]));
            let (bytes, shortest) = (messages[0].len() as f64, bits(table, &symbols) / 8.0);
            if n <= 50 {
                assert!(bytes <= shortest.ceil() + 1.0, "{bytes} bytes, {shortest} needed");
            } else {
                let n_runs = n.div_ceil(1 << 20) as f64;
                assert!(bytes <= shortest * 1.001 + 132.0 * n_runs, "{bytes} bytes, {shortest} needed");
            }
        }
    }
}

#[test]
fn tables_are_chosen_symbol_by_symbol() {
    let tables: Vec<Vec<u32>> = sources()
        .into_iter()
        .map(|mut table| {
            table.resize(256, 0);
            table
        })
        .collect();
    let all = Tables::new(&tables.concat(), 256).unwrap();
    for n in [0, 33, 9000, 100_001] {
        let mut uniform = uniform(n as u64);
        let which: Vec<u8> = (0..n).map(|_| (uniform() * tables.len() as f64) as u8).collect();
        let symbols: Vec<u8> =
            which.iter().map(|table| sample(&tables[usize::from(*table)], &mut uniform)).collect();
        let model = Model::with_which(&all, &which).unwrap();
        let expected = symbols::encode(&symbols, model, &Run::serial(Level::PORTABLE)).unwrap();
        for level in Level::available() {
            let run = Run::serial(level);
            assert!(symbols::encode(&symbols, model, &run).unwrap() == expected);
            let mut out = vec![0; n];
            symbols::decode(&expected, model, &mut out, &run).unwrap();
            assert!(out == symbols);
        }
    }
    assert!(Model::with_which(&all, &[0, 6]).is_err());
}

#[test]
fn symbols_of_two_bytes_come_back() {
    let high = table((0..5).map(|i| f64::from(i + 1)));
    let low: Vec<u32> =
        (0..5).flat_map(|i| table((0..256).map(|j| f64::from((i * 37 + j * 11) % 100)))).collect();
    let low_tables = Tables::new(&low, 256).unwrap();
    let high_tables = Tables::new(&high, 5).unwrap();
    for n in [0, 1, 100, 8192, 50_000] {
        let mut uniform = uniform(5);
        let symbols: Vec<u16> = (0..n)
            .map(|_| {
                let first = sample(&high, &mut uniform);
                let row = usize::from(first) * 256;
                u16::from_be_bytes([first, sample(&low[row..row + 256], &mut uniform)])
            })
            .collect();
        let expected =
            symbols::encode_wide(&symbols, &high_tables, &low_tables, &Run::serial(Level::PORTABLE)).unwrap();
        for level in Level::available() {
            let mut out = vec![0; n];
            symbols::decode_wide(&expected, &high_tables, &low_tables, &mut out, &Run::serial(level))
                .unwrap();
            assert!(out == symbols);
        }
    }
    let run = Run::serial(Level::PORTABLE);
    for n in [10, 9000] {
        let wrong = symbols::encode_wide(&vec![5 << 8; n], &high_tables, &low_tables, &run);
        assert!(wrong.unwrap_err().to_string().contains("symbols has 1280"));
    }
}

#[test]
fn symbols_outside_the_model_are_refused() {
    let tables = Tables::new(&[30_000, 0, 35_536], 3).unwrap();
    for n in [10, 9000, 1 << 21] {
        for wrong in [1, 3, 255] {
            let mut symbols = vec![0; n];
            symbols[7] = wrong;
            let error = symbols::encode(&symbols, Model::new(&tables), &Run::serial(Level::PORTABLE));
            let text = error.unwrap_err().to_string();
            assert_eq!(
                text,
                format!(
                    "symbols has {wrong} at element 7, counted through all axes; expected symbols below 3 whose frequency is not zero"
                )
            );
        }
    }
}

#[test]
fn damaged_messages_are_errors_at_every_level() {
    let table = &sources()[0];
    let tables = Tables::new(table, 256).unwrap();
    let mut uniform = uniform(9);
    for n in [40, 8192, 20_000, (1 << 20) + 9] {
        let symbols: Vec<u8> = (0..n).map(|_| sample(table, &mut uniform)).collect();
        let data = symbols::encode(&symbols, Model::new(&tables), &Run::serial(Level::PORTABLE)).unwrap();
        let mut unnoticed = 0;
        for trial in 0..24 {
            let mut wrong = data.clone();
            match trial % 4 {
                0 => wrong.truncate((uniform() * data.len() as f64) as usize),
                1 => wrong.push(trial as u8),
                2 => wrong.clear(),
                _ => {
                    let place = (uniform() * data.len() as f64) as usize;
                    wrong[place] ^= 1 << (trial % 8);
                }
            }
            for level in Level::available() {
                let mut out = vec![0; n];
                let decoded = symbols::decode(&wrong, Model::new(&tables), &mut out, &Run::serial(level));
                unnoticed += usize::from(decoded.is_ok());
            }
        }
        assert!(if n == 40 { unnoticed <= 12 } else { unnoticed == 0 }, "{n}: {unnoticed}");
    }
    assert!(symbols::check_n_symbols(1_000_000_000, &tables, 10).is_err());
}

#[test]
fn integers_of_any_scale_come_back() {
    for law in [Law::Laplace, Law::Gaussian, Law::Logistic] {
        let table = ScaleTable::new(law).unwrap();
        for n in [0, 1, 60, 8191, 8192, 30_001, (1 << 20) + 5] {
            let mut uniform = uniform(n as u64 + 3);
            let scales: Vec<u8> = (0..n).map(|_| (uniform() * 64.0) as u8).collect();
            let values: Vec<i32> = scales
                .iter()
                .map(|scale| match uniform() {
                    u if u < 0.002 => [i32::MIN, i32::MAX, -128, 127, 40_000][(u * 2500.0) as usize],
                    u => ((u - 0.5) * 4.0 * table.scales()[usize::from(*scale)]).round() as i32,
                })
                .collect();
            let bits: f64 = values.iter().zip(&scales).map(|(value, scale)| table.bits(*value, *scale)).sum();
            let expected = scales::encode(&values, &scales, &table, &Run::serial(Level::PORTABLE)).unwrap();
            let most =
                if n < 8192 { bits / 8.0 + 2.0 + n as f64 / 8000.0 } else { bits * 1.001 / 8.0 + 264.0 };
            assert!(expected.len() as f64 <= most, "{} bytes, {} bits", expected.len(), bits);
            scales::check_n_values(n, &table, expected.len()).unwrap();
            for level in Level::available() {
                let mut out = vec![0; n];
                scales::decode(&expected, &scales, &table, &mut out, &Run::serial(level)).unwrap();
                assert!(out == values, "{law:?}, {level:?}, {n} values");
                for wrong in [&expected[..expected.len() / 2], &[&expected[..], &[0]].concat()] {
                    let decoded = scales::decode(wrong, &scales, &table, &mut out, &Run::serial(level));
                    assert!(decoded.is_err() || n < 60);
                }
            }
            assert!(
                n == 0
                    || scales::encode(&values, &vec![64; n], &table, &Run::serial(Level::PORTABLE)).is_err()
            );
        }
    }
}

/// Random rows in which a symbol is near the one before it.
fn random_rows(n_rows: usize, n_columns: usize, n_symbols: usize) -> Vec<u8> {
    let mut uniform = uniform(11);
    let mut rows = Vec::new();
    for _ in 0..n_rows {
        let mut symbol = 0;
        for _ in 0..n_columns {
            symbol = (symbol + (uniform() * uniform() * n_symbols as f64) as usize) % n_symbols;
            rows.push(symbol as u8);
        }
    }
    rows
}

#[test]
fn rows_come_back_alone_and_in_blocks() {
    let stop = || false;
    for (n_rows, n_columns, n_symbols, has_previous) in
        [(0, 4, 16, true), (1, 1, 1, false), (700, 16, 200, true), (9001, 3, 256, false)]
    {
        let codes = random_rows(n_rows, n_columns, n_symbols);
        let view = Codes::new(&codes, n_rows, n_columns).unwrap();
        let n_tables =
            if has_previous && n_columns > 0 { 1 + (n_columns - 1) * n_symbols } else { n_columns };
        let frequencies: Vec<u32> = (0..n_tables)
            .flat_map(|shift| {
                table(
                    (0..n_symbols)
                        .map(|i| 1.0 / (1 + (i + n_symbols - shift % n_symbols) % n_symbols) as f64),
                )
            })
            .collect();
        let chain = MarkovChain::new(&frequencies, n_columns, n_symbols, has_previous).unwrap();
        for rows_per_block in [1, 16, 1 << 20] {
            let (data, offsets) =
                rows::encode(view, &chain, rows_per_block, &Run::new(Level::best(), 2, &stop)).unwrap();
            let again = rows::encode(view, &chain, rows_per_block, &Run::serial(Level::PORTABLE)).unwrap();
            assert!((&data, &offsets) == (&again.0, &again.1));
            let n_blocks = n_rows.div_ceil(rows_per_block);
            assert_eq!(offsets.len(), n_blocks + 1);
            let lens: Vec<i64> = (0..n_blocks)
                .map(|block| rows_per_block.min(n_rows - block * rows_per_block) as i64)
                .collect();
            for wanted in [rows_per_block as i64, 3] {
                let counts: Vec<i64> = lens.iter().map(|len| wanted.min(*len)).collect();
                let blocks = Blocks {
                    data: &data,
                    starts: &offsets[..n_blocks],
                    stops: &offsets[1..],
                    lens: &lens,
                    counts: &counts,
                };
                let mut out = vec![0; blocks.n_wanted(&chain).unwrap() * n_columns];
                rows::decode(blocks, &chain, &mut out, &Run::new(Level::best(), 2, &stop)).unwrap();
                let expected: Vec<u8> = counts
                    .iter()
                    .enumerate()
                    .flat_map(|(block, count)| {
                        let start = block * rows_per_block * n_columns;
                        codes[start..start + *count as usize * n_columns].to_vec()
                    })
                    .collect();
                assert!(out == expected);
            }
        }
    }
}

#[test]
fn wrong_blocks_are_refused() {
    let chain = MarkovChain::new(&table((0..16).map(|_| 1.0)), 1, 16, false).unwrap();
    let run = Run::serial(Level::PORTABLE);
    let decode = |starts: &[i64], stops: &[i64], lens: &[i64], counts: &[i64]| {
        let blocks = Blocks { data: &[1, 2, 3], starts, stops, lens, counts };
        rows::decode(blocks, &chain, &mut [0; 4], &run)
    };
    for (start, stop, len, count) in
        [(-1, 2, 4, 4), (2, 1, 4, 4), (0, 4, 4, 4), (0, 2, 3, 4), (0, 2, 4, -4), (0, i64::MAX, 4, 4)]
    {
        assert!(
            matches!(decode(&[start], &[stop], &[len], &[count]), Err(Error::Value { .. })),
            "{start} {stop} {len} {count}"
        );
    }
    assert!(matches!(decode(&[0], &[], &[4], &[4]), Err(Error::Length { .. })));
    assert!(matches!(decode(&[0], &[3], &[4], &[4]), Err(Error::Incompatible { .. })));
    let codes = Codes::new(&[3, 16], 2, 1).unwrap();
    let error = rows::encode(codes, &chain, 1, &run).unwrap_err().to_string();
    assert_eq!(error, "codes has 16 in row 1, column 0; expected symbols below 16");
    assert!(rows::encode(codes, &chain, 0, &run).is_err());
    assert!(MarkovChain::new(&[65_536, 0], 1, 2, false).is_err());
    assert!(MarkovChain::new(&[1, 65_535], 2, 2, false).is_err());
}

#[test]
fn packed_bits_come_back() {
    let run = Run::serial(Level::PORTABLE);
    for n_bits in [1, 8, 13, 256] {
        let ones: Vec<u32> = (0..n_bits).map(|bit| 1 + bit * 65_534 / n_bits.max(2)).collect();
        let model = Bernoulli::new(&ones).unwrap();
        let n_bytes = n_bits.div_ceil(8) as usize;
        let mut uniform = uniform(4);
        let mut codes = vec![0_u8; 300 * n_bytes];
        let mut bits = 0.0;
        for row in codes.chunks_mut(n_bytes.max(1)) {
            for (bit, p) in ones.iter().enumerate() {
                let p = f64::from(*p) / 65_536.0;
                let is_one = uniform() < p;
                bits -= if is_one { p.log2() } else { (1.0 - p).log2() };
                row[bit / 8] |= u8::from(is_one) << (7 - bit % 8);
            }
        }
        let view = Codes::new(&codes, 300, n_bytes).unwrap();
        let (data, offsets) = rows::encode(view, &model, 300, &run).unwrap();
        assert!(data.len() as f64 <= bits / 8.0 + 1.0);
        let blocks =
            Blocks { data: &data, starts: &offsets[..1], stops: &offsets[1..], lens: &[300], counts: &[300] };
        let mut out = vec![7; codes.len()];
        rows::decode(blocks, &model, &mut out, &run).unwrap();
        assert!(out == codes);
    }
    assert!(Bernoulli::new(&[0]).is_err() && Bernoulli::new(&[65_536]).is_err());
    let padded = rows::encode(Codes::new(&[255], 1, 1).unwrap(), &Bernoulli::new(&[9; 5]).unwrap(), 1, &run);
    assert!(padded.unwrap_err().to_string().contains("zeros after the 5 bits"));
}
