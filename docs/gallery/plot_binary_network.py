"""
A binary network, from training to packed bits
==============================================

Weights and activations are -1 or +1. The compiled network computes on packed bits and predicts the same.
"""

# %%
# Train on digits.

import matplotlib.pyplot as plt
import numpy as np
from fastcodes import nn
from sklearn.datasets import load_digits

digits = load_digits()
X, y = (digits.data * 15).astype(np.uint8), digits.target
order = np.random.default_rng(0).permutation(len(X))
train, test = order[:1400], order[1400:]

model = nn.Sequential(
    nn.BinaryDense(256), nn.BatchNorm(), nn.Sign(),
    nn.BinaryDense(256), nn.BatchNorm(), nn.Sign(),
    nn.BinaryDense(10), nn.BatchNorm(),
    random_state=0,
)  # fmt: skip
accuracies = []


def keep_accuracy(model):
    """Evaluate after each epoch."""
    accuracies.append([model.evaluate(X[rows], y[rows])["accuracy"] for rows in (train, test)])


model.fit(X[train], y[train], epochs=20, schedule=nn.Cosine(), callbacks=[keep_accuracy])
packed = model.compile()
assert (packed.predict(X[test]) == model.predict(X[test])).all()
print(model.summary())

# %%
# The curves, and the 64 weights of 24 neurons of the first layer.

weights = np.sign(model.get_weights()["0.weights"])
fig = plt.figure(figsize=(9, 4))
left, right = fig.subfigures(1, 2)
axis = left.subplots()
axis.plot(range(1, 21), accuracies, label=["training", "test"])
axis.set(xlabel="epoch", ylabel="accuracy")
axis.grid(alpha=0.3)
axis.legend()
for column, axis in enumerate(right.subplots(4, 6).flat):
    axis.imshow(weights[:, column].reshape(8, 8), cmap="gray")
    axis.set_axis_off()

# %%
# The packed network has one bit where the trained one has a float32.

fig, axis = plt.subplots(figsize=(7, 1.8))
sizes = {
    "float32 weights": sum(weight.nbytes for weight in model.get_weights().values()),
    "packed": packed.nbytes,
}
drawn = axis.barh(list(sizes), list(sizes.values()))
axis.bar_label(drawn, [f"{size:,} bytes" for size in sizes.values()], padding=4)
axis.set(xlim=(0, 1.25 * max(sizes.values())), xticks=[])
axis.invert_yaxis()
fig.tight_layout()
