"""Small studies of image coding with what is in the package: seven tables and no promise, in a record.

Numbers as arguments select studies, without a record.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import records
from image_studies_common import RAREST, Study
from image_studies_labels import classification, labels
from image_studies_latents import priors, quantizers, variable_rate, vector_quantizers
from image_studies_sampling import sampling
from threadpoolctl import threadpool_limits

STUDIES: tuple[Callable[[], Study], ...] = (
    quantizers,
    priors,
    vector_quantizers,
    sampling,
    variable_rate,
    classification,
    labels,
)
ABOUT = """\
Sizes are those of real codes, each decoded and compared. Models learn from the photographs of COCO,
down-sampled by 2, or from CIFAR-10. The tests are the 24 Kodak photographs (the luma of their central crops
of 384 x 256 pixels, unless stated otherwise) and lossless images of CIFAR-10; parameters
were settled on training images, some after a look at Kodak.
PSNR is the mean over images. The parameters of models are not counted: they are the same for all images.
Scales are those of a Laplace or a Gaussian law, whichever is shorter in training. Latents that are not zero
in less than one of {rarest:,.0f} blocks in training are not coded."""


def main(numbers: list[str]) -> None:
    """Run the studies, print them, and write the record."""
    os.environ["FASTCODES_NUM_THREADS"] = "1"
    record = records.facts()
    wanted = [study for i, study in enumerate(STUDIES, start=1) if not numbers or str(i) in numbers]
    done = []
    for make in wanted:
        start = time.process_time()
        with threadpool_limits(1):
            done.append(make())
        print(f"{done[-1].page()}\n{time.process_time() - start:.0f} s of one CPU\n", flush=True)
    if not numbers:
        write(record, done)


def write(record: dict[str, Any], studies: Sequence[Study]) -> None:
    """Write the record of all studies."""
    path = records.name(record, "image-studies")
    title, about = f"# Studies of image coding, {record['date']}", ABOUT.format(rarest=1 / RAREST)
    sections = "\n".join(study.page() for study in studies)
    page = f"{title}\n\n{records.facts_as_list(record)}\n{about}\n\n{sections}"
    records.write(path, record | {"studies": [study._asdict() for study in studies]}, page)
    print(f"record: {path}.json, .md")


if __name__ == "__main__":
    main(sys.argv[1:])
