"""Quality of searches and codes: recall, precision, mean average precision, N-S score.

As in scikit-learn, the truth comes first and the results second. Results are the indices that
`fastcodes.hamming.knn` and all other searches return: one row per query, nearest first, ties by index, and -1
where fewer rows were found.

Ranking measures take a *relevance*, a boolean array (nq, r) that marks the relevant results. There are two
protocols, whose figures are not comparable:

- by label: results with the label of the query are relevant (`label_relevance`);
- by neighbour: the true nearest neighbours are relevant (`neighbor_relevance`).

"@R" means that only the first R results count: give R columns. "@ALL" means that all rows of the database are
ranked: ``k=len(codes)``.
"""

from fastcodes.metrics._precision import (
    average_precision,
    chance_level,
    mean_average_precision,
    ns_score,
    precision_at_k,
)
from fastcodes.metrics._recall import k_recall_at_k, recall_at_k
from fastcodes.metrics._relevance import label_relevance, neighbor_relevance

__all__ = [
    "average_precision",
    "chance_level",
    "k_recall_at_k",
    "label_relevance",
    "mean_average_precision",
    "neighbor_relevance",
    "ns_score",
    "precision_at_k",
    "recall_at_k",
]
