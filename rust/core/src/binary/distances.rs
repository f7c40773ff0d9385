//! All distances of some rows, nothing selected.

use crate::popcount::tile::{MAX_WORDS, QUERIES_PER_GROUP, QueryGroups, Tile};
use crate::popcount::{distances, row_distances};
use crate::{Codes, Error, Level};

/// Writes the Hamming distances of all rows of `a` to all rows of `b`; one slice of `out` for each row of `a`.
pub(crate) fn all_distances(
    a: Codes<'_>,
    b: Codes<'_>,
    out: &mut [&mut [i32]],
    level: Level,
) -> Result<(), Error> {
    if a.n_rows() < QUERIES_PER_GROUP || a.n_words() > MAX_WORDS {
        for (row, out) in out.iter_mut().enumerate() {
            row_distances(level, a.row(row), b, out);
        }
        return Ok(());
    }
    let queries = QueryGroups::new(level, a.n_words(), (0..a.n_rows()).map(|row| a.row(row)))?;
    let mut tile = Tile::default();
    for start in (0..b.n_rows()).step_by(Tile::capacity(level, b.n_words())) {
        let end = (start + Tile::capacity(level, b.n_words())).min(b.n_rows());
        tile.fill_all(level, b.slice(start, end))?;
        for (query, out) in queries.iter().zip(out.chunks_mut(QUERIES_PER_GROUP)) {
            let mut out = out.iter_mut();
            // A last group that is not full has nowhere to write what its zeros give.
            let out = std::array::from_fn(|_| out.next().map_or(&mut [][..], |row| &mut row[start..end]));
            distances(level, tile.words(0..end - start), query, out);
        }
    }
    Ok(())
}
