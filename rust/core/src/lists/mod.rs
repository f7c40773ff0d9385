//! Searches of the rows in some inverted lists, instead of all rows.
//!
//! | file | contents |
//! |---|---|
//! | `candidates` | rows that several lists may hold, each scored once |
//! | `multi_index` | exact search by tables of parts of codes |

mod candidates;
pub mod multi_index;

pub use candidates::hamming_knn;
