"""
Codes in nearly as few bytes as they need
=========================================

An entropy coder spends few bits on what is probable.
"""

# %%
# The pixels of digits, by four models: how many bits a symbol takes, and the entropy that bounds them.

import matplotlib.pyplot as plt
import numpy as np
from fastcodes import entropy
from sklearn.datasets import load_digits

rows = load_digits().data.astype(np.uint8)  # symbols from 0 to 16
symbols = rows.ravel()
counts = np.bincount(symbols, minlength=17)
share = counts[counts > 0] / len(symbols)

categorical = entropy.Categorical(counts)
huffman = entropy.Huffman(counts)
chain = entropy.MarkovChain.fit(rows, 17)
taken = {
    "bytes": 8.0,
    "5 bits": 5.0,
    "Huffman": 8 * len(entropy.encode(symbols, huffman)) / len(symbols),
    "Categorical (rANS)": 8 * len(entropy.encode(symbols, categorical)) / len(symbols),
    "MarkovChain, rows alone": 8 * len(entropy.encode_rows(rows, chain)[0]) / len(symbols),
}

fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), width_ratios=[2, 3])
axes[0].bar(range(17), counts / len(symbols))
axes[0].set(xlabel="symbol", ylabel="share")
drawn = axes[1].barh(list(taken), list(taken.values()))
axes[1].bar_label(drawn, fmt="%.2f", padding=3)
axes[1].axvline(
    -(share * np.log2(share)).sum(), color="black", linestyle=":", label="entropy of a symbol alone"
)
axes[1].set(xlabel="bits per symbol", xlim=(0, 9))
axes[1].invert_yaxis()
axes[1].legend(fontsize="small", loc="lower right")
fig.tight_layout()
