//! `fastcodes._native`: argument -> slice -> detach -> core -> array. One file per family, and for all of them `arrays` and `objects`
//! (arguments), `probes` (the lists of a search), `results`, `runtime` (how a call runs), `claims` and `versions` (calls beside each other). Unsafe code is in `arrays` and `objects` only. The public names, the
//! docstrings and the examples are in the Python package.

mod adc;
mod additive;
mod arrays;
mod binary;
mod bits;
mod block_motion;
mod claims;
mod components;
mod entropy;
mod hadamard;
mod hamming;
mod image;
mod info;
mod jaccard;
mod lists;
mod minhash;
mod multi_index;
mod objects;
mod probes;
mod rabitq;
mod rerank;
mod results;
mod runtime;
mod text;
mod versions;
mod video;
mod xnor;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _native {
    use numpy::PyArray1;
    use pyo3::prelude::*;

    /// Looks up the C API of numpy: the first use does that by Python code, in which a signal handler may raise, and then panics,
    /// so that Ctrl-C during the first call would be no KeyboardInterrupt. And prepares forks.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let _array = PyArray1::<u8>::zeros(module.py(), 0, false);
        super::versions::prepare_forks(module.py())
    }

    #[pymodule_export]
    use super::adc::{PackedCodes, adc_encode, adc_knn, adc_radius, adc_scan, adc_sums, adc_tables};
    #[pymodule_export]
    use super::additive::{additive_beam, additive_composite_search, additive_search};
    #[pymodule_export]
    use super::bits::{bits_pack, bits_pack_uint, bits_popcount, bits_unpack, bits_unpack_uint};
    #[pymodule_export]
    use super::block_motion::{block_motion_one_bit, block_motion_sad, block_motion_search};
    #[pymodule_export]
    use super::components::components;
    #[pymodule_export]
    use super::entropy::{
        EntropyHuffman, EntropyRows, EntropyScales, EntropyTables, entropy_decode, entropy_decode_cells,
        entropy_decode_rows, entropy_decode_scaled, entropy_decode_wide, entropy_encode,
        entropy_encode_cells, entropy_encode_rows, entropy_encode_scaled, entropy_encode_wide,
        entropy_frequencies, entropy_huffman_decode, entropy_huffman_encode, entropy_huffman_lengths,
        entropy_quantize,
    };
    #[pymodule_export]
    use super::hadamard::{hadamard_pack, hadamard_project, hadamard_rotate};
    #[pymodule_export]
    use super::hamming::{
        hamming_asymmetric_knn, hamming_cdist, hamming_groups, hamming_knn, hamming_pairs, hamming_radius,
    };
    #[pymodule_export]
    use super::image::{image_decode, image_encode, image_inspect};
    #[pymodule_export]
    use super::info::{commit, extensions, level, levels, roofline, threads, version, why_not_higher};
    #[pymodule_export]
    use super::jaccard::{
        SortedRows, jaccard_cdist, jaccard_groups, jaccard_knn, jaccard_pairs, jaccard_radius,
    };
    #[pymodule_export]
    use super::lists::hamming_candidates_knn;
    #[pymodule_export]
    use super::minhash::{
        MinHashBands, minhash_band_keys, minhash_cdist, minhash_jaccard, minhash_pack, minhash_paired,
        minhash_shingles, minhash_signatures, minhash_text_signatures, minhash_tokens,
    };
    #[pymodule_export]
    use super::multi_index::{hamming_tables, hamming_tables_knn, hamming_tables_radius};
    #[pymodule_export]
    use super::rabitq::{
        rabitq_cdist, rabitq_decode, rabitq_encode, rabitq_errors, rabitq_knn, rabitq_radius, rabitq_scan,
    };
    #[pymodule_export]
    use super::rerank::{rerank_nearest, rerank_nearest_of_all};
    #[pymodule_export]
    use super::text::TextModel;
    #[pymodule_export]
    use super::video::VideoCoder;
    #[pymodule_export]
    use super::xnor::{
        XnorFilters, XnorFinish, XnorMatrix, xnor_byte_matmul, xnor_conv2d, xnor_matmul, xnor_max_pool2d,
        xnor_planes,
    };
}
