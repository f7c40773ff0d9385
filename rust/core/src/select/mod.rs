//! What every search shares: which rows are searched, which of them are kept, and how results are written.

pub(crate) mod components;
pub(crate) mod mask;
pub(crate) mod matrix;
pub(crate) mod results;
pub(crate) mod sink;
pub(crate) mod top_k;

pub use components::components;
pub use mask::Mask;
pub use results::{Csr, Neighbors, Pairs};
