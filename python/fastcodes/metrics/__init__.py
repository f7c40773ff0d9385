"""Quality of searches, codes and captions: recall, precision, and what images lose.

Searches
    `recall_at_k`, `k_recall_at_k`, `label_relevance`, `neighbor_relevance`, `precision_at_k`,
    `average_precision`, `mean_average_precision`, `chance_level`, `ns_score`

Coded images
    `bits_per_pixel`, `compression_ratio`, `psnr`, `luma`, `ssim`, `ms_ssim`, `bd_rate`, `bd_psnr`

Sets of images
    `frechet_distance`, `inception_score`, `instance_distance`

Captions
    `bleu`, `cider`

As in scikit-learn, the truth comes first and the results second. Results of searches are the indices that
`fastcodes.hamming.knn` and all other searches return: one row per query, nearest first, ties by index, and -1
where fewer rows were found.

Ranking measures take a *relevance*, a boolean array (nq, r) that marks the relevant results. There are two
protocols, whose figures are not comparable:

- by label: results with the label of the query are relevant (`label_relevance`);
- by neighbour: the true nearest neighbours are relevant (`neighbor_relevance`).

"@R" means that only the first R results count: give R columns. "@ALL" means that all rows of the database are
ranked: ``k=len(codes)``.

Figures of coded images are comparable if these agree: whether headers count (here they do), the average
(PSNR of each image, or of all their errors), the channels (RGB or luma), and the images.
"""

from fastcodes.metrics._captions import bleu, cider
from fastcodes.metrics._features import frechet_distance, inception_score, instance_distance
from fastcodes.metrics._images import bits_per_pixel, compression_ratio, luma, psnr
from fastcodes.metrics._precision import (
    average_precision,
    chance_level,
    mean_average_precision,
    ns_score,
    precision_at_k,
)
from fastcodes.metrics._rates import bd_psnr, bd_rate
from fastcodes.metrics._recall import k_recall_at_k, recall_at_k
from fastcodes.metrics._relevance import label_relevance, neighbor_relevance
from fastcodes.metrics._similarity import ms_ssim, ssim

__all__ = [
    "average_precision",
    "bd_psnr",
    "bd_rate",
    "bits_per_pixel",
    "bleu",
    "chance_level",
    "cider",
    "compression_ratio",
    "frechet_distance",
    "inception_score",
    "instance_distance",
    "k_recall_at_k",
    "label_relevance",
    "luma",
    "mean_average_precision",
    "ms_ssim",
    "neighbor_relevance",
    "ns_score",
    "precision_at_k",
    "psnr",
    "recall_at_k",
    "ssim",
]
