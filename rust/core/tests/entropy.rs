//! Messages of symbols: round trips, equal bytes at every level, code lengths, damaged bytes.

use fastcodes_core::entropy::symbols::{self, Model};
use fastcodes_core::entropy::{Tables, frequencies};
use fastcodes_core::{Level, Run};

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
    frequencies(&counts, &mut out).unwrap();
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
