//! Which rows a search visits.

/// Which rows of the database take part in a search.
#[derive(Clone, Copy, Debug)]
pub enum Mask<'a> {
    /// Every row.
    All,
    /// The rows whose byte is not zero; one byte per row.
    Booleans(&'a [u8]),
    /// The rows with these ids, in any order; an id that is given twice counts once.
    Ids(&'a [i64]),
}
