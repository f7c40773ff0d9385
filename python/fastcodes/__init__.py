"""Compact codes: search, compare and pack them, as functions over numpy arrays, and models that make them.

=========================  ===================================================================================
`fastcodes.bits`           pack and unpack bits and small integers, count ones
`fastcodes.hamming`        search packed bits by the number of differing bits
`fastcodes.jaccard`        search packed bits by the overlap of the sets that they stand for
`fastcodes.minhash`        signatures of sets and texts, and similarity estimates
`fastcodes.adc`            search product-quantised codes by look-up tables
`fastcodes.rabitq`         search vectors kept as a few bits per dimension, by unbiased estimates
`fastcodes.hadamard`       random rotations and projections by fast Hadamard transforms
`fastcodes.xnor`           products of matrices of a few bits, convolution of packed images
`fastcodes.block_motion`   motion of blocks between two frames, by absolute differences or binary planes
`fastcodes.entropy`        code symbols and rows of codes in nearly as few bytes as they need
`fastcodes.hashing`        models that make binary codes and signatures
`fastcodes.quantization`   models that make codes of small integers
`fastcodes.nn`             binary neural networks
`fastcodes.index`          indexes over the codes of any model: add, search, filter, remove, save
`fastcodes.coding`         short strings, pictures and videos in few bytes
`fastcodes.crossmodal`     pictures as captions of a few bytes, with layers that refine them
`fastcodes.tokens`         pictures as grids of tokens: tokenizers, a prior, recognition and search
`fastcodes.metrics`        quality of searches and of coded images: recall, precision, PSNR, SSIM, BD-rate
`fastcodes.interop`        faiss, ONNX, RDKit, scikit-learn, ...: conversions and searches
`fastcodes.distributed`    fit, encode, search and deduplicate on many machines, with Dask
`fastcodes.merge_topk`     merge the neighbours found in parts of a database
`fastcodes.components`     connected components of pairs, such as near-duplicates
=========================  ===================================================================================
"""

TYPE_CHECKING = False  # the constant of typing, whose import takes longer than that of this package

if TYPE_CHECKING:
    from fastcodes import (
        adc,
        bits,
        block_motion,
        coding,
        crossmodal,
        distributed,
        entropy,
        hadamard,
        hamming,
        hashing,
        index,
        interop,
        jaccard,
        metrics,
        minhash,
        nn,
        quantization,
        rabitq,
        tokens,
        xnor,
    )
    from fastcodes.results import components, merge_topk

    __version__: str

__all__ = [
    "adc",
    "bits",
    "block_motion",
    "coding",
    "components",
    "crossmodal",
    "distributed",
    "entropy",
    "hadamard",
    "hamming",
    "hashing",
    "index",
    "interop",
    "jaccard",
    "merge_topk",
    "metrics",
    "minhash",
    "nn",
    "quantization",
    "rabitq",
    "tokens",
    "xnor",
]


# Modules are imported at their first use: a program waits only for those that it uses, and the command line
# can handle signals while they are imported.
if not TYPE_CHECKING:  # for type checkers, each name would exist

    def __getattr__(name: str) -> object:
        import importlib

        if name == "__version__":
            return importlib.import_module("fastcodes._native").version()
        if name in ("components", "merge_topk"):
            return getattr(importlib.import_module("fastcodes.results"), name)
        if name in __all__:
            return importlib.import_module(f"fastcodes.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__, "__version__"})
