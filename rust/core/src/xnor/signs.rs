//! [`SignTiles`] from packed rows.

use super::layout::{COLUMNS_PER_TILE, Quads, SignTiles};
use crate::error::try_vec;
#[cfg(target_arch = "x86_64")]
use crate::popcount::{self, tile, tile::Lanes};
use crate::{Codes, Error, Run};

impl SignTiles {
    /// From rows in which each `n_channels` bits begin with a new byte.
    pub fn new(rows: Codes<'_>, n_channels: usize, run: &Run<'_>) -> Result<Self, Error> {
        let n_features = rows.n_bytes() / n_channels.div_ceil(8) * n_channels;
        #[cfg(target_arch = "x86_64")]
        if super::keeps_bits(run.level(), rows.n_rows(), n_features) {
            return SignTiles::bits(rows, n_channels, n_features, run);
        }
        SignTiles::quads(rows, n_channels, n_features, run)
    }

    fn quads(rows: Codes<'_>, n_channels: usize, n_features: usize, run: &Run<'_>) -> Result<Self, Error> {
        let n_quads = n_features.div_ceil(4);
        let n_tiles = rows.n_rows().div_ceil(COLUMNS_PER_TILE);
        let mut tiles = try_vec(Quads([[0; 4]; COLUMNS_PER_TILE]), n_tiles * n_quads)?;
        let run = run.for_words(tiles.len() * COLUMNS_PER_TILE);
        run.for_each_chunk(&mut tiles, n_quads, |tile, quads| {
            let first = tile * COLUMNS_PER_TILE;
            for lane in 0..COLUMNS_PER_TILE.min(rows.n_rows() - first) {
                for (feature, bit) in bits_of(rows.row(first + lane), n_channels).enumerate() {
                    quads[feature / 4].0[lane][feature % 4] = 2 * bit as i8 - 1;
                }
            }
            Ok(())
        })?;
        Ok(SignTiles::Quads { tiles, n_quads })
    }

    #[cfg(target_arch = "x86_64")]
    fn bits(rows: Codes<'_>, n_channels: usize, n_features: usize, run: &Run<'_>) -> Result<Self, Error> {
        let (level, n_bytes) = (run.level(), n_features.div_ceil(8));
        let (step_rows, n_words) = (popcount::step_rows(level), n_bytes.div_ceil(8));
        let step_words = tile::step_words(level, n_words);
        let mut steps =
            try_vec(Lanes([0; tile::ROWS_PER_BLOCK]), rows.n_rows().div_ceil(step_rows) * step_words)?;
        let run = run.for_words(rows.n_rows() * n_words);
        run.for_each_chunk(&mut steps, step_words, |step, words| {
            let rows = rows.slice(step * step_rows, rows.n_rows().min((step + 1) * step_rows));
            let mut packed = try_vec(0, rows.n_rows() * n_bytes)?;
            for (index, packed) in packed.chunks_exact_mut(n_bytes).enumerate() {
                for (feature, bit) in bits_of(rows.row(index), n_channels).enumerate() {
                    packed[feature / 8] |= bit << (7 - feature % 8);
                }
            }
            popcount::transpose(level, packed.chunks_exact(n_bytes), n_words, words);
            Ok(())
        })?;
        Ok(SignTiles::Bits { steps, n_words })
    }
}

/// The bits of a row in which each `n_channels` bits begin with a new byte.
fn bits_of(row: &[u8], n_channels: usize) -> impl Iterator<Item = u8> {
    let pixels = row.chunks_exact(n_channels.div_ceil(8));
    pixels.flat_map(move |bytes| (0..n_channels).map(|bit| bytes[bit / 8] >> (7 - bit % 8) & 1))
}
