"""Tokens: pictures as grids of small integers, for models of sequences, recognition, search and compression.

==================  ==========================================================================================
`VQVAE`             a small autoencoder that turns pictures into tokens and back, by a codebook, several, or
                    none
`TokenPrior`        how probable a token is given its neighbours: an entropy model, and samples
`TokenCodec`        pictures as bytes, by both; a trained one comes with fastcodes
------------------  ------------------------------------------------------------------------------------------
`token_histograms`  counts of tokens, for classifiers
`token_bits`        sets of tokens as packed bits, for `fastcodes.jaccard`
`perplexity`        how evenly codewords are used
==================  ==========================================================================================
"""

from fastcodes._estimator import NotFittedError
from fastcodes.tokens.codec import TokenCodec
from fastcodes.tokens.features import perplexity, token_bits, token_histograms
from fastcodes.tokens.prior import TokenPrior
from fastcodes.tokens.vqvae import VQVAE

__all__ = [
    "VQVAE",
    "NotFittedError",
    "TokenCodec",
    "TokenPrior",
    "perplexity",
    "token_bits",
    "token_histograms",
]
