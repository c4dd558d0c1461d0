"""Choose the examples that the package ships: `python -m tests.make_examples`.

Of each digit, the training images nearest to the centres of 20 clusters (k-means): every way of
writing it that is common in MNIST. The calibration part stays out, as it does of training.
"""

import cv2
import numpy as np

from digitrec.datasets import mnist
from digitrec.datasets.examples import EXAMPLES, PER_DIGIT, softened
from digitrec.datasets.labelled import calibration_indices


def main() -> None:
    images, labels = mnist.load("train")
    usable = np.ones(len(images), bool)
    usable[calibration_indices(images)] = False
    mosaic = np.zeros((10, 28, PER_DIGIT, 28), np.uint8)
    for digit in range(10):
        some = images[usable & (labels == digit)]
        points = softened(some)
        cv2.setRNGSeed(0)
        stop = (cv2.TERM_CRITERIA_MAX_ITER, 50, 0)
        _, _, centres = cv2.kmeans(points, PER_DIGIT, None, stop, 3, cv2.KMEANS_PP_CENTERS)
        for k, centre in enumerate(centres):
            nearest = np.square(points - centre).sum(axis=1).argmin()
            mosaic[digit, :, k] = some[nearest]
    cv2.imwrite(str(EXAMPLES), mosaic.reshape(10 * 28, PER_DIGIT * 28))


if __name__ == "__main__":
    main()
