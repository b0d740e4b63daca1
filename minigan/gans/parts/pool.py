"""A pool of images that were made before, for a judge that is not to forget how they looked.

Shrivastava et al., "Learning from simulated and unsupervised images through adversarial training", 2017,
section 2.3; Zhu et al. 2017 (CycleGAN), section 4, have a pool of 50.
"""

import numpy as np

from minigan.backend import device, device_of, to_numpy


class ImagePool:
    """At most `size` images of one shape. `swap` takes some made ones, and gives as many back: each one
    itself until the pool is full, and then by the toss of a coin itself or one of the pool, whose place it
    takes.

    `state_dict` has them all, so that a run that is resumed goes on with the same.
    """

    def __init__(self, size, shape):
        self.size, self.images, self.filled = size, np.zeros((size, *shape), np.float32), 0

    def to(self, place):
        """Move the images to a device."""
        self.images = device(place).put(self.images)
        return self

    def swap(self, made, rng):
        """(N, *shape) -> as many. rng: tosses the coins, and says which of the pool."""
        given = made.copy(order="K")
        for i, (coin, which) in enumerate(
            to_numpy(rng.uniform((len(made), 2))).tolist() if self.size else ()
        ):
            if self.filled < self.size:
                self.images[self.filled] = made[i]
                self.filled += 1
            elif coin < 0.5:
                place = int(which * self.size)
                given[i] = self.images[place]
                self.images[place] = made[i]
        return given

    def state_dict(self):
        """The images, (size, *shape), and how many of them there are."""
        return {"images": self.images.copy(), "filled": self.filled}

    def load_state_dict(self, state):
        """Go on with what `state_dict` gave. ValueError for the state of another pool."""
        images, filled = state["images"], state["filled"]
        if images.shape != self.images.shape or not 0 <= filled <= self.size:
            raise ValueError(
                f"ImagePool: the state has {filled} images in {images.shape}, the pool {self.images.shape}"
            )
        self.images, self.filled = device_of(self.images).put(images.copy()), filled
