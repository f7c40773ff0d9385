//! `fastcodes._native`: argument -> slice -> detach -> core -> array, and nothing else. One file a family; the
//! public names, the docstrings and the examples live in the Python package.

mod arrays;
mod bits;
mod info;
mod runtime;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use super::bits::{bits_pack, bits_pack_uint, bits_popcount, bits_unpack, bits_unpack_uint};
    #[pymodule_export]
    use super::info::{level, levels, threads, version, why_not_higher};
}
