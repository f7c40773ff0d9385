//! Counts of symbols as probabilities: integers that add up to [`TOTAL`].

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::error::{try_collect, try_vec};
use crate::{At, Error, Run};

/// What the frequencies of a table add up to.
pub const TOTAL: u32 = 1 << 16;

/// The largest number of symbols of a table.
pub const MAX_SYMBOLS: usize = 256;

/// Writes the frequencies of a table that give the counted symbols nearly the shortest code, each symbol at least 1. Without any
/// counts all symbols are equally frequent.
///
/// The code becomes shorter by about `c / (f + 1/2)` if the frequency of a symbol that is counted `c` times grows from `f` to `f + 1`.
/// So what is left after all have a share, rounded down, goes to the symbol that gains most, one by one.
///
/// # Errors
/// [`Error::Range`] if there are no symbols, or more than [`MAX_SYMBOLS`]; [`Error::Length`] if `out` does not have as many elements.
pub fn of_counts(counts: &[u64], out: &mut [u32]) -> Result<(), Error> {
    check_n_symbols("counts", counts.len())?;
    crate::error::check_len("out", "elements", out.len(), counts.len())?;
    let sum: u128 = counts.iter().copied().map(u128::from).sum();
    let uniform = [1; MAX_SYMBOLS];
    let (counts, sum) = match sum {
        0 => (&uniform[..counts.len()], counts.len() as u128),
        _ => (counts, sum),
    };
    let shared = u128::from(TOTAL) - counts.len() as u128;
    for (frequency, count) in out.iter_mut().zip(counts) {
        *frequency = ((u128::from(*count) * shared / sum) as u32).max(1);
    }
    // Positive floats are in the order of their bits. The lowest symbol is the first of equals.
    let gain =
        |symbol: usize, frequency: u32| (counts[symbol] as f64 / f64::from(2 * frequency + 1)).to_bits();
    let gains = out.iter().enumerate().map(|(symbol, frequency)| (gain(symbol, *frequency), Reverse(symbol)));
    let mut gains: BinaryHeap<_> = try_collect(gains)?.into();
    for _ in out.iter().sum()..TOTAL {
        let Some(mut best) = gains.peek_mut() else { break };
        let Reverse(symbol) = best.1;
        out[symbol] += 1;
        best.0 = gain(symbol, out[symbol]);
    }
    Ok(())
}

/// [`of_counts`] of tables of `n_symbols` counts each.
///
/// # Errors
/// As there, and [`Error::Interrupted`].
pub fn of_tables(counts: &[u64], n_symbols: usize, out: &mut [u32], run: &Run<'_>) -> Result<(), Error> {
    check_n_symbols("counts", n_symbols)?;
    run.for_each_part(
        out.chunks_mut(n_symbols).zip(counts.chunks(n_symbols)),
        || Ok(()),
        |(), _, (out, counts)| of_counts(counts, out),
    )?;
    Ok(())
}

/// Checks that each row of `n_symbols` frequencies adds up to [`TOTAL`].
pub(crate) fn check_frequencies(frequencies: &[u32], n_symbols: usize) -> Result<(), Error> {
    check_n_symbols("frequencies", n_symbols)?;
    for (row, table) in frequencies.chunks(n_symbols).enumerate() {
        let sum: u64 = table.iter().copied().map(u64::from).sum();
        if sum != u64::from(TOTAL) {
            return Err(Error::Value {
                name: "frequencies",
                value: format!("the sum {sum}"),
                at: At::Row(row),
                expected: format!("{TOTAL}"),
            });
        }
    }
    Ok(())
}

fn check_n_symbols(name: &'static str, given: usize) -> Result<(), Error> {
    match given {
        1..=MAX_SYMBOLS => Ok(()),
        _ => Err(Error::Range { name, unit: "symbols", given, low: 1, high: MAX_SYMBOLS }),
    }
}

/// Where the parts of the symbols of each table begin: the sums of the frequencies before them.
pub(crate) fn starts(frequencies: &[u32], n_symbols: usize) -> Result<Vec<u32>, Error> {
    let mut starts = try_vec(0, frequencies.len())?;
    for (starts, table) in starts.chunks_mut(n_symbols).zip(frequencies.chunks(n_symbols)) {
        let mut sum = 0;
        for (start, frequency) in starts.iter_mut().zip(table) {
            *start = sum;
            sum += frequency;
        }
    }
    Ok(starts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(counts: &[u64], frequencies: &[u32]) -> f64 {
        counts.iter().zip(frequencies).map(|(c, f)| *c as f64 * (16.0 - f64::from(*f).log2())).sum()
    }

    #[test]
    fn no_other_frequencies_make_a_shorter_code() {
        let tail: Vec<u64> =
            (0..256).map(|i| (1e7 * (-f64::from((i - 128_i32).abs()) / 6.0).exp()) as u64).collect();
        let cases = [vec![5, 3, 0, 1, 1], vec![0; 7], vec![1 << 60, 1], vec![9], tail, vec![7; 256]];
        for counts in cases {
            let mut best = vec![0; counts.len()];
            of_counts(&counts, &mut best).unwrap();
            assert_eq!(best.iter().sum::<u32>(), TOTAL);
            assert!(best.iter().all(|f| *f > 0));
            let least = bits(&counts, &best);
            for to in 0..counts.len() {
                for from in (0..counts.len()).filter(|from| *from != to && best[*from] > 1) {
                    let mut other = best.clone();
                    (other[to], other[from]) = (other[to] + 1, other[from] - 1);
                    assert!(bits(&counts, &other) >= least * (1.0 - 1e-7), "{counts:?}: {from} to {to}");
                }
            }
        }
    }

    #[test]
    fn wrong_tables_are_refused() {
        assert!(of_counts(&[], &mut []).is_err());
        assert!(of_counts(&[1; 257], &mut [0; 257]).is_err());
        assert!(check_frequencies(&[TOTAL, 0, 1, TOTAL - 2], 2).is_err());
        assert!(check_frequencies(&[TOTAL, 0, 1, TOTAL - 1], 2).is_ok());
    }
}
