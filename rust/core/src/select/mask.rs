//! [`Mask`]: which rows a search considers, and [`RowMask`]: the same, prepared for scans in ascending order.

use std::ops::Range;

use crate::Error;
use crate::error::{try_collect, try_vec};

/// Rows of a word of a mask.
const ROWS_PER_WORD: usize = u64::BITS as usize;

/// The rows that a search considers, as the caller names them.
#[derive(Clone, Copy, Debug)]
pub enum Mask<'a> {
    /// Every row.
    All,
    /// The rows whose byte is not zero; one byte per row.
    Booleans(&'a [u8]),
    /// The rows with these ids, in any order; an id that is given twice counts once.
    Ids(&'a [i64]),
}

/// The selected rows of a database, numbered in ascending order: the selected row of rank 0 is the lowest one.
pub(crate) enum RowMask {
    /// All of this many rows.
    All(usize),
    /// Some rows, one bit per row of the database.
    Bits(Bits),
    /// Some rows, as a list.
    List(RowList),
}

/// Rows in ascending order, each once.
pub(crate) struct RowList {
    rows: Vec<usize>,
    /// Rows of the database.
    n_rows: usize,
}

/// One bit per row, the lowest row in the lowest bit of word 0.
pub(crate) struct Bits {
    words: Vec<u64>,
    /// The selected rows before each word, and those of all words.
    ranks: Vec<usize>,
}

impl RowMask {
    /// The rows of a database of `n_rows` rows that `mask` selects.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if there is not one boolean per row, [`Error::Row`] if an id is not a row,
    /// [`Error::OutOfMemory`].
    pub fn new(mask: Mask<'_>, n_rows: usize) -> Result<Self, Error> {
        let n_words = n_rows.div_ceil(ROWS_PER_WORD);
        let words = match mask {
            Mask::All => return Ok(RowMask::All(n_rows)),
            Mask::Booleans(booleans) => {
                if booleans.len() != n_rows {
                    let (first, second) = (("mask", booleans.len()), ("codes", n_rows));
                    let hint = "give one boolean per row, or an integer array of row ids";
                    return Err(Error::Mismatch { unit: "rows", first, second, hint });
                }
                let mut words = try_vec(0, n_words)?;
                for (word, booleans) in words.iter_mut().zip(booleans.chunks(ROWS_PER_WORD)) {
                    let bits = booleans.iter().enumerate().map(|(row, flag)| u64::from(*flag != 0) << row);
                    *word = bits.fold(0, |word, bit| word | bit);
                }
                words
            }
            Mask::Ids(ids) => {
                let mut rows = try_vec(0, ids.len())?;
                for (row, &id) in rows.iter_mut().zip(ids) {
                    *row = match usize::try_from(id) {
                        Ok(row) if row < n_rows => row,
                        _ => return Err(Error::Row { name: "mask", row: id, n_rows }),
                    };
                }
                rows.sort_unstable();
                rows.dedup();
                return Ok(RowMask::List(RowList { rows, n_rows }));
            }
        };
        Ok(RowMask::Bits(Bits::new(words)?))
    }

    /// The same rows, with words that are read in constant time, unless those would be more than the rows.
    pub fn for_words(self) -> Result<Self, Error> {
        match self {
            RowMask::List(list) if list.rows.len() >= list.n_rows.div_ceil(ROWS_PER_WORD) => {
                let mut words = try_vec(0, list.n_rows.div_ceil(ROWS_PER_WORD))?;
                for row in list.rows {
                    words[row / ROWS_PER_WORD] |= 1 << (row % ROWS_PER_WORD);
                }
                Ok(RowMask::Bits(Bits::new(words)?))
            }
            other => Ok(other),
        }
    }

    /// The number of selected rows.
    pub fn n_selected(&self) -> usize {
        match self {
            RowMask::All(n_rows) => *n_rows,
            RowMask::Bits(bits) => bits.ranks.last().copied().unwrap_or(0),
            RowMask::List(list) => list.rows.len(),
        }
    }

    /// The number of selected rows below a row.
    pub fn n_below(&self, row: usize) -> usize {
        match self {
            RowMask::All(n_rows) => row.min(*n_rows),
            RowMask::List(list) => list.rows.partition_point(|own| *own < row),
            RowMask::Bits(bits) => {
                let (index, bit) = (row / ROWS_PER_WORD, row % ROWS_PER_WORD);
                let in_word = bits.words.get(index).map_or(0, |word| (word & ((1 << bit) - 1)).count_ones());
                bits.ranks[index.min(bits.words.len())] + in_word as usize
            }
        }
    }

    /// Whether a row is selected.
    pub fn contains(&self, row: usize) -> bool {
        match self {
            RowMask::All(n_rows) => row < *n_rows,
            RowMask::List(list) => list.rows.binary_search(&row).is_ok(),
            RowMask::Bits(bits) => {
                bits.words.get(row / ROWS_PER_WORD).is_some_and(|word| word >> (row % ROWS_PER_WORD) & 1 == 1)
            }
        }
    }

    /// Whether every row is selected because no mask was given.
    pub fn is_all(&self) -> bool {
        matches!(self, RowMask::All(_))
    }

    /// `64 * N` rows from row `64 * first_word` on, one bit each; rows beyond the last are not selected.
    #[inline]
    pub fn words<const N: usize>(&self, first_word: usize) -> [u64; N] {
        std::array::from_fn(|index| match self {
            RowMask::Bits(bits) => bits.words.get(first_word + index).copied().unwrap_or(0),
            RowMask::List(list) => list.word(first_word + index),
            RowMask::All(n_rows) => match n_rows.saturating_sub((first_word + index) * ROWS_PER_WORD) {
                rest @ 0..ROWS_PER_WORD => (1 << rest) - 1,
                _ => u64::MAX,
            },
        })
    }

    /// The same as [`RowMask::words`] of the rows in a range.
    #[inline]
    pub fn words_within<const N: usize>(&self, first_word: usize, rows: &Range<usize>) -> [u64; N] {
        let mut words = self.words::<N>(first_word);
        for (word, index) in words.iter_mut().zip(first_word..) {
            let first = index * ROWS_PER_WORD;
            let below = |row: usize| match row.saturating_sub(first) {
                n @ 0..ROWS_PER_WORD => (1_u64 << n) - 1,
                _ => u64::MAX,
            };
            *word &= below(rows.end) & !below(rows.start);
        }
        words
    }

    /// The selected rows of these ranks, in ascending order, as far as there are any.
    pub fn rows(&self, ranks: Range<usize>) -> impl Iterator<Item = usize> + '_ {
        let ranks = ranks.start.min(self.n_selected())..ranks.end.min(self.n_selected());
        // The last word with a rank of at most the first one, and that word without the rows below it.
        let (mut index, mut word) = match self {
            RowMask::All(_) | RowMask::List(_) => (0, 0),
            RowMask::Bits(bits) if ranks.is_empty() => (bits.words.len(), 0),
            RowMask::Bits(bits) => {
                let index = bits.ranks.partition_point(|rank| *rank <= ranks.start) - 1;
                let mut word = bits.words[index];
                (bits.ranks[index]..ranks.start).for_each(|_| word &= word - 1);
                (index, word)
            }
        };
        ranks.map(move |rank| match self {
            RowMask::All(_) => rank,
            RowMask::List(list) => list.rows[rank],
            RowMask::Bits(bits) => {
                while word == 0 {
                    index += 1;
                    word = bits.words[index];
                }
                let row = index * ROWS_PER_WORD + word.trailing_zeros() as usize;
                word &= word - 1;
                row
            }
        })
    }

    /// The same rows as a part of the list, if there is one.
    pub fn as_list(&self, ranks: Range<usize>) -> Option<&[usize]> {
        match self {
            RowMask::List(list) => {
                Some(&list.rows[ranks.start.min(list.rows.len())..ranks.end.min(list.rows.len())])
            }
            _ => None,
        }
    }

    /// The groups of `64 * N` rows with selected ones, in ascending order.
    pub fn groups<const N: usize>(&self) -> Result<Vec<usize>, Error> {
        let n_rows = match self {
            RowMask::All(n_rows) => *n_rows,
            RowMask::Bits(bits) => bits.words.len() * ROWS_PER_WORD,
            RowMask::List(list) => {
                let mut groups = try_collect(list.rows.iter().map(|row| row / (N * ROWS_PER_WORD)))?;
                groups.dedup();
                return Ok(groups);
            }
        };
        let groups = 0..n_rows.div_ceil(N * ROWS_PER_WORD);
        try_collect(groups.filter(|group| self.words::<N>(group * N) != [0; N]))
    }

    /// One bit for each row that is not selected, as words; bits beyond the last row mean nothing.
    pub fn excluded(&self) -> Result<Vec<u64>, Error> {
        match self {
            RowMask::All(n_rows) => try_vec(0, n_rows.div_ceil(ROWS_PER_WORD)),
            RowMask::Bits(bits) => {
                let mut excluded = try_vec(0, bits.words.len())?;
                excluded.iter_mut().zip(&bits.words).for_each(|(excluded, word)| *excluded = !word);
                Ok(excluded)
            }
            RowMask::List(list) => {
                let mut excluded = try_vec(u64::MAX, list.n_rows.div_ceil(ROWS_PER_WORD))?;
                for row in &list.rows {
                    excluded[row / ROWS_PER_WORD] &= !(1 << (row % ROWS_PER_WORD));
                }
                Ok(excluded)
            }
        }
    }
}

impl Bits {
    fn new(words: Vec<u64>) -> Result<Self, Error> {
        let mut ranks = try_vec(0, words.len() + 1)?;
        for (index, word) in words.iter().enumerate() {
            ranks[index + 1] = ranks[index] + word.count_ones() as usize;
        }
        Ok(Bits { words, ranks })
    }
}

impl RowList {
    /// The rows of one word of bits.
    fn word(&self, index: usize) -> u64 {
        let first = self.rows.partition_point(|row| row / ROWS_PER_WORD < index);
        let rows = self.rows[first..].iter().take_while(|row| **row / ROWS_PER_WORD == index);
        rows.fold(0, |word, row| word | 1 << (row % ROWS_PER_WORD))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_and_ids_select_the_same_rows_whatever_their_number() {
        for n_rows in [0, 1, 63, 64, 65, 128, 300] {
            for every in [1, 2, 7, 64, 65, 301] {
                let rows: Vec<usize> = (0..n_rows).filter(|row| row % every == every / 2).collect();
                let booleans: Vec<u8> =
                    (0..n_rows).map(|row| if rows.contains(&row) { row as u8 | 1 } else { 0 }).collect();
                let ids: Vec<i64> = rows.iter().chain(&rows).rev().map(|row| *row as i64).collect();
                let from = |mask| RowMask::new(mask, n_rows).unwrap();
                let (by_booleans, by_ids) = (Mask::Booleans(&booleans), Mask::Ids(&ids));
                for mask in [from(by_booleans), from(by_ids), from(by_ids).for_words().unwrap()] {
                    assert_eq!(mask.n_selected(), rows.len());
                    for start in 0..rows.len() + 2 {
                        for end in [start, start + 1, start + 70, usize::MAX] {
                            let expected = rows.get(start.min(rows.len())..end.min(rows.len())).unwrap();
                            assert_eq!(mask.rows(start..end).collect::<Vec<_>>(), expected);
                        }
                    }
                    for row in 0..n_rows + 70 {
                        assert_eq!(mask.n_below(row), rows.iter().filter(|own| **own < row).count());
                        assert_eq!(mask.contains(row), rows.contains(&row));
                    }
                    let mut groups: Vec<usize> = rows.iter().map(|row| row / 128).collect();
                    groups.dedup();
                    assert_eq!(mask.groups::<2>().unwrap(), groups);
                    for rows in [0..n_rows, 1..64, 63..65, 64..64, 70..usize::MAX] {
                        let (words, within) = (mask.words::<5>(0), mask.words_within::<5>(0, &rows));
                        for row in 0..320 {
                            let expected = rows.contains(&row) && words[row / 64] >> (row % 64) & 1 == 1;
                            assert_eq!(
                                within[row / 64] >> (row % 64) & 1 == 1,
                                expected,
                                "{row} of {rows:?}"
                            );
                        }
                    }
                    let words = [mask.words::<4>(0), mask.words::<4>(4)];
                    for (row, &boolean) in booleans.iter().enumerate() {
                        let word = words.as_flattened()[row / 64];
                        assert_eq!(word >> (row % 64) & 1 == 1, boolean != 0);
                        let excluded = mask.excluded().unwrap()[row / 64];
                        assert_eq!(excluded >> (row % 64) & 1 == 1, boolean == 0);
                    }
                }
            }
        }
    }

    #[test]
    fn no_mask_selects_every_row_and_none_beyond() {
        for n_rows in [0, 1, 63, 64, 65, 130] {
            let mask = RowMask::new(Mask::All, n_rows).unwrap();
            assert_eq!((mask.n_selected(), mask.is_all()), (n_rows, true));
            assert!((0..n_rows + 70).all(|row| mask.n_below(row) == row.min(n_rows)));
            assert!((0..n_rows + 70).all(|row| mask.contains(row) == (row < n_rows)));
            assert_eq!(mask.rows(0..usize::MAX).collect::<Vec<_>>(), (0..n_rows).collect::<Vec<_>>());
            let words = mask.words::<4>(0);
            let n_bits: u32 = words.iter().map(|word| word.count_ones()).sum();
            assert_eq!(n_bits as usize, n_rows);
            assert!((0..n_rows).all(|row| words[row / 64] >> (row % 64) & 1 == 1));
        }
    }

    #[test]
    fn a_mask_that_does_not_fit_is_an_error() {
        fn error(mask: Mask<'_>) -> Option<Error> {
            RowMask::new(mask, 3).err()
        }
        assert!(matches!(error(Mask::Booleans(&[1, 1])), Some(Error::Mismatch { first: ("mask", 2), .. })));
        for row in [-1, 3, i64::MAX] {
            let ids = [0, row];
            assert_eq!(error(Mask::Ids(&ids)), Some(Error::Row { name: "mask", row, n_rows: 3 }));
        }
    }
}
