//! What every search shares: which rows are searched, which of them are kept, and how results are written.

pub(crate) mod components;
pub(crate) mod groups;
pub(crate) mod keys;
pub(crate) mod lists;
pub(crate) mod mask;
pub(crate) mod matrix;
pub(crate) mod results;
pub(crate) mod sink;
pub(crate) mod top_k;

pub use components::components;
pub use lists::Probes;
pub use mask::Mask;
pub use results::{Csr, Neighbors, Pairs};
